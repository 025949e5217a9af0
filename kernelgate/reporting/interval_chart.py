"""The interval of a gain against the 1-2 % band, as a chart that GitHub draws (Mermaid's xychart)."""

import math

from kernelgate.performance.decision.log_ratio import Slowdown

NOISE, PROVEN, ENDS, REPLICATES = "#d97706", "#16a34a", "#2563eb", "#64748b"
MARGIN = 0.5
"""Room below and above what is drawn, in percent of gain."""

DRAWABLE = 700.0
"""Log-ratios under which a gain is a finite number."""


def draw_gain(slowdown: Slowdown, band: tuple[float, float]) -> str:
    """Return the chart as a Markdown block: the replicates, and lines for the interval and the band.

    The band is that of the rule, as gains. What cannot be drawn, an interval without ends, gives a sentence.
    """
    # Written so that NaN fails it too.
    if not all(abs(each) < DRAWABLE for each in (*slowdown.replicates, slowdown.low, slowdown.high)):
        return "No chart: the interval has no ends."
    gains = [100 * (1 - math.exp(log_ratio)) for log_ratio in slowdown.replicates]
    ends = [100 * slowdown.gain_low, 100 * slowdown.gain_high]
    noise, proven = (100 * line for line in band)
    low = math.floor(min([0.0, *gains, *ends]) - MARGIN)
    high = math.ceil(max([proven, *gains, *ends]) + MARGIN)
    numbers = ", ".join(str(number) for number in range(1, len(gains) + 1))
    palette = ", ".join((REPLICATES, ENDS, ENDS, NOISE, PROVEN))
    legend = (
        "Grey: each replicate of fresh processes. Blue: the ends of the interval. "
        f"Orange: {noise:g} %, below it is noise. Green: {proven:g} %, from it on a gain is kept."
    )
    return "\n".join(
        [
            "```mermaid",
            f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
            "xychart-beta",
            '  title "gain over the accepted kernel, in percent"',
            f'  x-axis "replicate" [{numbers}]',
            f'  y-axis "gain %" {low} --> {high}',
            f"  line [{', '.join(f'{gain:.3f}' for gain in gains)}]",
            *(f"  line [{', '.join([f'{level:.3f}'] * len(gains))}]" for level in (*ends, noise, proven)),
            "```",
            "",
            legend,
        ]
    )
