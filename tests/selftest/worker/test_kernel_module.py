"""A model is made with what its signature takes: of the file's own arguments, and of the problem's."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.worker.model.kernel_module import ModelMaker, make_as_asked


def plain() -> Any:
    return ()


def optional(num_classes: int = 1000) -> Any:
    return (num_classes,)


def required(num_classes: int) -> Any:
    return (num_classes,)


def wide(width: int, num_classes: int) -> Any:
    return (width, num_classes)


def named(*, num_classes: int) -> Any:
    return (num_classes,)


def anything(*given: int, **named: int) -> Any:
    return (*given, *named.values())


@pytest.mark.parametrize(
    ("kind", "given", "classes", "made_with"),
    [
        (plain, (), None, ()),
        (plain, (1000,), 10, ()),
        (optional, (), None, (1000,)),
        (optional, (7,), None, (7,)),
        (optional, (7,), 10, (10,)),
        (required, (), None, (1000,)),
        (required, (), 10, (10,)),
        (wide, (3,), None, (3, 1000)),
        (wide, (3, 4), 10, (3, 10)),
        (named, (), None, (1000,)),
        (named, (), 10, (10,)),
        (anything, (5,), 10, (5,)),
    ],
)
def test_a_model_is_made_with_what_it_takes(
    kind: Callable[..., Any], given: tuple[int, ...], classes: int | None, made_with: tuple[int, ...]
) -> None:
    """The file's own first, the problem's where one is missing, and so many classes as are asked for."""
    asked = {} if classes is None else {"num_classes": classes}
    assert make_as_asked(kind, given, ALEXNET_CONV1.model_arguments, asked) == made_with


def test_what_the_file_says_of_its_arguments_is_heard() -> None:
    """Its get_init_inputs, if it has one that answers with a list."""

    class Kept(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.width = width

    class File:
        ModelNew = Kept
        get_init_inputs = staticmethod(lambda: [3])

    assert ModelMaker(ALEXNET_CONV1, File)().width == 3
    File.get_init_inputs = staticmethod(lambda: None)  # type: ignore[assignment]
    with pytest.raises(TypeError, match="width"):
        ModelMaker(ALEXNET_CONV1, File)()
