"""What a tuning tried and found, as a person reads it: a page in Markdown, a few lines on the terminal."""

from collections.abc import Iterator

from kernelgate.reporting.counters import render_counters
from kernelgate.reporting.markdown import code, inert, table
from kernelgate.tuning.options import Option, Timed
from kernelgate.tuning.state import Tuned

HEADINGS = {
    "compiled": "Compiled, not timed",
    "kept": "Kept",
    "reverted": "Reverted",
    "undecided": "Undecided",
}
NEXT_STEPS = {
    "compiled": "Run the same command on a machine with an NVIDIA GPU, which times what is left.",
    "kept": "Judge the written file: kernelgate judge {file}",
    "reverted": "Leave the configurations as they are: none near them is a gain.",
    "undecided": "Nothing was written. Quiet the machine (kernelgate doctor), and run this again.",
}


def next_step(tuned: Tuned, written: str) -> str:
    """Return what to do after this ending; `written` is the tuned file, if there is one."""
    return NEXT_STEPS[tuned.ended].format(file=written)


def render_page(tuned: Tuned, written: str) -> str:
    """Return the page: the ending, every configuration with its fate, and the list that was written."""
    parts = [
        f"# {HEADINGS[tuned.ended]}: {code(tuned.file)}",
        f"**Why:** {inert(tuned.detail)}",
        f"**Next:** {next_step(tuned, written)}",
        "## What was tried",
        f"Stage final-micro-tuning: BLOCK sizes and grid as they are. Compiled for sm_89{_timed_on(tuned)}.",
        table(
            ("configuration", "registers", "shared bytes", "spill bytes", "warps an SM", "what became of it"),
            [_row(option) for option in tuned.options],
        ),
        *render_counters(tuned.counters, tuned.gpu),
        *_render_final(tuned),
    ]
    return "\n\n".join(parts) + "\n"


def render_lines(tuned: Tuned, written: str) -> Iterator[str]:
    """Yield the lines for a terminal."""
    yield f"{HEADINGS[tuned.ended].upper()}  {tuned.file}"
    yield f"  {tuned.detail}"
    for option in tuned.options:
        yield f"  {option.config!s:28} {_fate(option)}"
    yield f"  next: {next_step(tuned, written)}"


def _timed_on(tuned: Tuned) -> str:
    return f", timed on an {tuned.gpu} against the accepted kernel" if tuned.gpu else ""


def _row(option: Option) -> tuple[str, ...]:
    if not option.registers:
        return (str(option.config), "", "", "", "", _fate(option))
    numbers = (option.registers, option.shared_bytes, option.spill_bytes, option.warps_per_sm)
    return (str(option.config), *map(str, numbers), _fate(option))


def _fate(option: Option) -> str:
    if option.dropped:
        return f"dropped: {option.dropped}"
    return "worth timing" if option.timed is None else _describe(option.timed)


def _describe(timed: Timed) -> str:
    if timed.gain is None or timed.gain_low is None or timed.gain_high is None:
        return f"{timed.outcome}: {timed.detail}"
    gain = f"{100 * timed.gain:+.2f} % [{100 * timed.gain_low:+.2f}, {100 * timed.gain_high:+.2f}]"
    to_original = (
        "" if timed.gain_to_original is None else f", {100 * timed.gain_to_original:+.2f} % to the original"
    )
    time = "" if timed.time_ms is None else f", {timed.time_ms:.4f} ms"
    return f"{timed.outcome} {gain}{to_original}{time}"


def _render_final(tuned: Tuned) -> Iterator[str]:
    if not tuned.configs:
        return
    yield "## The list"
    yield "\n".join(f"- {code(str(config))}" for config in tuned.configs)
    if tuned.final is not None:
        yield f"As a whole, its autotuner choosing in every process: {inert(_describe(tuned.final))}."
