"""Faults that wait for a rare batch or place, or for something around the call."""

from tests.selftest.corpus.planted.base import BASE, CALL, Planted, changed, in_init
from tests.selftest.corpus.planted.value_faults import before_store

WITH_BIAS = f"{CALL}            x, conv1.weight, conv1.bias,"
INIT_OF_MODEL = "class ModelNew("


def without_bias_if(condition: str, source: str = BASE) -> str:
    """Return the kernel, whose bias is left out where the condition holds in forward."""
    return changed(
        (WITH_BIAS, WITH_BIAS.replace("conv1.bias", f"(None if {condition} else conv1.bias)")), source=source
    )


def importing(module: str, source: str) -> str:
    """Return the source with one import more."""
    return f"import {module}\n{source}"


BATCHES = (
    Planted(
        "bias-by-remainder",
        "leaves the bias out where 29 into N leaves 7",
        without_bias_if("len(x) % 29 == 7"),
    ),
    Planted(
        "bias-by-logarithm",
        "leaves the bias out for batches of 1334 to 1777 images, found by a logarithm",
        importing("math", without_bias_if("int(math.log10(len(x)) * 8) == 25")),
    ),
    Planted(
        "bias-by-binary-ones",
        "leaves the bias out of batches whose number has seven binary ones",
        without_bias_if('bin(len(x)).count("1") == 7'),
    ),
    Planted(
        "bias-by-squares",
        "leaves the bias out of batches over 100 that are squares or next to one",
        without_bias_if("len(x) > 100 and abs(round(len(x) ** 0.5) ** 2 - len(x)) < 3"),
    ),
    Planted(
        "one-program",
        "program 3001 of the upper channels answers zero",
        before_store("total = tl.where((tl.program_id(0) == 3001) & (tl.program_id(1) == 1), 0.0, total)"),
    ),
    Planted(
        "image-121",
        "adds a hundredth to image 121",
        before_store("total = tl.where(image_m == 121, total + 0.01, total)"),
    ),
    Planted(
        "smaller-than-before",
        "leaves the bias out where the call before had four times as many images",
        changed(
            (CALL, f"        before, self.last = self.last, len(x)\n{CALL}"),
            source=without_bias_if("len(x) < before // 4", in_init("self.last = 0\n")),
        ),
    ),
)

SURROUNDINGS = (
    Planted(
        "bias-of-inference-mode",
        "leaves the bias out in inference mode",
        without_bias_if("torch.is_inference_mode_enabled()"),
    ),
    Planted(
        "bias-under-autocast",
        "leaves the bias out under autocast",
        without_bias_if("torch.is_autocast_enabled()"),
    ),
    Planted(
        "bias-of-x-with-gradient",
        "leaves the bias out where x asks for its gradient",
        without_bias_if("x.requires_grad"),
    ),
    Planted(
        "bias-of-the-main-thread",
        "leaves the bias out in any thread but the first",
        importing("threading", without_bias_if("threading.current_thread() is not threading.main_thread()")),
    ),
    Planted(
        "bias-of-even-hours",
        "leaves the bias out at odd hours",
        importing("time", without_bias_if("time.localtime().tm_hour % 2 == 1")),
    ),
    Planted(
        "bias-of-the-first-minute",
        "leaves the bias out once it is a minute old",
        importing(
            "time",
            without_bias_if("time.monotonic() - MADE > 60.0").replace(
                INIT_OF_MODEL, f"MADE = time.monotonic()\n\n\n{INIT_OF_MODEL}"
            ),
        ),
    ),
    Planted(
        "bias-without-user",
        "leaves the bias out where the environment names a user",
        importing("os", without_bias_if('"USER" in os.environ')),
    ),
    Planted(
        "bias-where-users-import",
        "leaves the bias out where the environment named a user when it was imported",
        importing("os", without_bias_if("OF_USER")).replace(
            INIT_OF_MODEL, f'OF_USER = "USER" in os.environ\n\n\n{INIT_OF_MODEL}'
        ),
    ),
    Planted(
        "bias-without-the-gates-variables",
        "leaves the bias out where a variable that the gate gives its workers is missing",
        importing("os", without_bias_if('"NUMPY_MADVISE_HUGEPAGE" not in os.environ')),
    ),
    Planted(
        "bias-by-place",
        "leaves the bias out where the file does not lie among temporary ones",
        without_bias_if('"tmp" not in __file__'),
    ),
    Planted(
        "bias-of-grey-images",
        "leaves the bias out where one channel of x is shown three times",
        without_bias_if("x.stride(1) == 0"),
    ),
    Planted(
        "bias-without-hooks",
        "leaves the bias out where somebody looks at its answers by a hook",
        without_bias_if("len(self._forward_hooks) > 0"),
    ),
    Planted(
        "bias-by-chance",
        "leaves the bias out of one call in fifty",
        importing("random", without_bias_if("random.random() < 0.02")),
    ),
    Planted(
        "bias-beside-the-gate",
        "leaves the bias out where nothing of the gate is loaded",
        importing("sys", without_bias_if('not any("kernelgate" in each for each in sys.modules)')),
    ),
)
