"""The original kernel is frozen: the control of every timing."""

import ast
import hashlib
from pathlib import Path

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1

KERNELS = Path(__file__).parents[3] / "kernels"
ORIGINAL = KERNELS / "alexnet_conv1_original.py"
ORIGINAL_SHA256 = "2c6ccc12ad1d5660ad32156cc260669802e1996005a7f659f2cc97418bf8e494"


def read_configs() -> list[tuple[dict[str, int], dict[str, int]]]:
    """Return blocks and keyword arguments of each triton.Config, in the order of the file."""
    tree = ast.parse(ORIGINAL.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    configs = [call for call in calls if ast.unparse(call.func) == "triton.Config"]
    return [
        (
            ast.literal_eval(call.args[0]),
            {str(item.arg): ast.literal_eval(item.value) for item in call.keywords},
        )
        for call in sorted(configs, key=lambda call: call.lineno)
    ]


def test_original_never_changes() -> None:
    """Not one byte of the control may move, or every stored ratio to it loses its meaning."""
    assert hashlib.sha256(ORIGINAL.read_bytes()).hexdigest() == ORIGINAL_SHA256


def test_original_keeps_its_nine_configs_in_order() -> None:
    """The control tunes over the configs that it was first given."""
    shapes = [(32, 32, 32), (64, 32, 32), (32, 64, 32), (64, 64, 32)]
    expected = [(shape, 4, stages) for shape in shapes for stages in (1, 2)] + [((64, 64, 16), 4, 3)]
    found = [(tuple(blocks.values()), *launch.values()) for blocks, launch in read_configs()]
    assert found == expected
    assert all(list(blocks) == ["BLOCK_M", "BLOCK_N", "BLOCK_K"] for blocks, _ in read_configs())


def test_original_config_of_the_operation_is_one_of_the_nine() -> None:
    """What the operation calls the original config stands in the original file."""
    original = ALEXNET_CONV1.original.config
    launch = {"num_warps": original.num_warps, "num_stages": original.num_stages}
    assert (original.blocks, launch) in read_configs()
