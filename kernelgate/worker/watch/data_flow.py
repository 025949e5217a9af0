"""Who computed the answer: every PyTorch operation and every launch of a call is seen, and its data followed.

PyTorch may move data and prepare weights; what x holds, and what was made of it, only launches may compute
with. Memory is followed by its storage as long as that lives: what was freed is not mistaken for what comes
to lie in its place, and a file that works in parts has its memory back after each.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kernelgate.worker.tensors.operators import (
    CONTRACTIONS,
    UNINITIALISED,
    changed_tensors,
    is_view,
    named_arguments,
)

MOVES = {
    *("clone", "copy_", "copy", "_to_copy", "contiguous", "lift_fresh", "lift_fresh_copy", "cat"),
    *("stack", "constant_pad_nd", "pixel_unshuffle", "pixel_shuffle", "im2col", "index_select"),
    *("gather", "index", "slice_scatter", "select_scatter", "index_put", "index_put_", "scatter"),
    *("scatter_", "index_copy_", "roll", "flip", "repeat", "repeat_interleave", "channel_shuffle"),
    *("reflection_pad2d", "replication_pad2d", "permute_copy", "view_copy", "as_strided_copy"),
    *("slice_copy", "unfold_copy", "fill_", "zero_", "fill", "set_", "resize_", "record_stream"),
    *("_reshape_copy", "_unsafe_view", "zeros", "_foreach_copy_"),
}
"""What moves values, or replaces them, without computing any."""

SHAPED_ALIKE = {
    *("empty_like", "new_empty", "new_empty_strided", "zeros_like", "new_zeros", "ones_like"),
    *("new_ones", "full_like", "new_full", "rand_like", "randn_like", "sym_size", "sym_stride"),
    *("is_pinned",),
}
"""Read the shape of their argument and nothing of its values."""


class Witness(TorchDispatchMode):
    """Within it, operations and launches are seen; `found` says what somebody else did than a launch."""

    def __init__(
        self, fill_empty: Callable[[torch.Tensor], None], before_read: Callable[[torch.Tensor], None]
    ) -> None:
        super().__init__()
        self.fill_empty, self.before_read = fill_empty, before_read
        self.found: list[str] = []
        self._from_x: set[int] = set()
        self._made: set[int] = set()
        self._living: dict[int, StorageWeakRef] = {}

    def follow_x(self, x: torch.Tensor) -> None:
        """Take this tensor for the input whose values are followed."""
        self._from_x.add(self._place(x))

    def note_launch(self, arguments: Iterable[torch.Tensor], read: set[int], written: set[int]) -> None:
        """Take note of a launch: the storages that it read, as far as is known, and those that it wrote."""
        for tensor in arguments:
            self._place(tensor)
        if read & self._from_x:
            self._from_x |= written
            self._made |= written

    def note_host_read(self, tensor: torch.Tensor) -> None:
        """Take note that the host was given the values of a tensor."""
        if self._place(tensor) in self._from_x:
            self.find("values of x were copied to the host")

    def check_answer(self, answer: torch.Tensor) -> None:
        """Find fault with an answer that no launch of this call computed from x."""
        if self._place(answer) not in self._made:
            self.find("the answer lies in memory that no launch of this call wrote, reading x")

    def find(self, what: str) -> None:
        """Remember a finding once."""
        if what not in self.found:
            self.found.append(what)

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, and follow where the values of x go."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not _only_shapes(func, name):
            for tensor in inputs:
                self.before_read(tensor)
        result = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        for tensor in (*inputs, *outputs):
            self._place(tensor)
        if name in UNINITIALISED:
            for tensor in outputs:
                self.fill_empty(tensor)
        elif name not in SHAPED_ALIKE:
            self._follow(func, name, inputs, outputs, args, kwargs)
        return result

    def _follow(
        self, func: Any, name: str, inputs: list[Any], outputs: list[Any], args: Any, kwargs: Any
    ) -> None:
        changed = [self._place(tensor) for tensor in changed_tensors(func, args, kwargs)]
        sources = {self._place(tensor) for tensor in inputs} - set(changed)
        tainted = (sources | set(changed)) & self._from_x
        if name.startswith(CONTRACTIONS):
            self.find(describe_contraction(name))
        elif tainted and not is_view(func) and (name not in MOVES or _sums_up(func, args, kwargs)):
            self.find(f"PyTorch computed aten.{name} on values of x")
        if any(source in self._from_x for source in sources) and _leaves_gpu(inputs, outputs):
            self.find("values of x were copied to the host")
        targets = {*changed, *map(self._place, outputs)}
        if sources & self._from_x:
            self._from_x |= targets
        if changed and not is_view(func) and not sources & self._made:
            self._made -= set(changed)
        if sources & self._made:
            self._made |= targets

    def _place(self, tensor: torch.Tensor) -> int:
        """Return where the tensor's storage lies; of one that was freed there nothing is remembered."""
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        known = self._living.get(place)
        if known is None or known.expired():
            if known is not None:
                self._from_x.discard(place)
                self._made.discard(place)
            self._living[place] = StorageWeakRef(storage)
        return place


class Contractions(TorchDispatchMode):
    """Within it, sums of products by PyTorch are seen, whatever they are made of; `found` names each once."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation."""
        name = func.overloadpacket.__name__
        if name.startswith(CONTRACTIONS) and (what := describe_contraction(name)) not in self.found:
            self.found.append(what)
        return func(*args, **(kwargs or {}))


def describe_contraction(name: str) -> str:
    """Return what is said of a sum of products that PyTorch computed."""
    return f"PyTorch computed aten.{name}"


def _only_shapes(func: Any, name: str) -> bool:
    return name in SHAPED_ALIKE or name in UNINITIALISED or is_view(func)


def _sums_up(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether what else would move values adds or multiplies them to those that are there."""
    given = named_arguments(func, args, kwargs)
    return bool(given.get("accumulate")) or "reduce" in given


def _leaves_gpu(inputs: list[torch.Tensor], outputs: list[torch.Tensor]) -> bool:
    return any(_is_on(t, "cuda") for t in inputs) and any(_is_on(t, "cpu") for t in outputs)


def _is_on(tensor: torch.Tensor, kind: str) -> bool:
    """Whether the tensor lies there in truth, whatever a tensor that looks like CUDA's says."""
    device: torch.device = torch._C.TensorBase.device.__get__(tensor)
    return device.type == kind
