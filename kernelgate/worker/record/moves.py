"""Which of PyTorch's operations move data, and what each of them does to memory.

Everything that a call asks of PyTorch comes by here. What moves values is written down as copies and fills;
what only the host's own tables go into is computed; what reads a value or computes with one, no plan can say.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch._library.custom_ops import OPDEFS
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from kernelgate.execution.launch_plan import WIDENING
from kernelgate.worker.record.tape import RawCopy, RawFill, Tape
from kernelgate.worker.tensors.operators import CONTRACTIONS, UNINITIALISED, changed_tensors, is_view

READS = {"_local_scalar_dense", "equal", "is_nonzero", "item", "nonzero", "masked_select", "unique"}
"""What the host learns values by."""

FILLED: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], Any]] = {
    "zeros": lambda _args, _named: 0,
    "zeros_like": lambda _args, _named: 0,
    "new_zeros": lambda _args, _named: 0,
    "ones": lambda _args, _named: 1,
    "ones_like": lambda _args, _named: 1,
    "new_ones": lambda _args, _named: 1,
    "full": lambda args, named: args[1] if len(args) > 1 else named["fill_value"],
    "full_like": lambda args, named: args[1] if len(args) > 1 else named["fill_value"],
    "new_full": lambda args, named: args[2] if len(args) > 2 else named["fill_value"],
}
"""New memory that is one value everywhere, and where the call says which."""

SAYS_NOTHING = {"sym_size", "sym_stride", "is_pinned", "record_stream", "_pin_memory"}
SAME_MEMORY = {"_unsafe_view", "lift_fresh", "_reshape_alias"}


class Moves(TorchDispatchMode):
    """Writes onto a tape what PyTorch is asked for.

    An operator that the file has registered is a function of its own, which is called within `gpu`.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: to tell TorchDynamo otherwise, PyTorch imports it, a second of each worker."""
        return False

    def __init__(self, tape: Tape, gpu: AbstractContextManager[Any]) -> None:
        super().__init__()
        self.tape, self.gpu = tape, gpu
        self._does: dict[str, Callable[..., Any]] = {
            "clone": self._clone,
            "_to_copy": self._clone,
            "copy_": self._copy_into,
            "_foreach_copy_": self._copy_each,
            "fill_": self._fill,
            "zero_": self._fill,
            "cat": self._join,
            "stack": self._stack,
            "constant_pad_nd": self._pad,
            "repeat": self._repeat,
            "pixel_unshuffle": self._unshuffle,
        }

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return what the operation returns, in shape and layout."""
        kwargs = kwargs or {}
        with self:  # what is made of other operations comes by here piece by piece, in inference mode too
            if (made := func.decompose(*args, **kwargs)) is not NotImplemented:
                return made
            if (own := OPDEFS.get(func._schema.name)) is not None:
                with self.gpu:
                    return own._init_fn(*args, **kwargs)
        return self._do(func, args, kwargs)

    def _do(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = func.overloadpacket.__name__
        if name in SAYS_NOTHING or name in SAME_MEMORY or is_view(func):
            return func(*args, **kwargs)
        if name in UNINITIALISED:
            return self.tape.make(func(*args, **kwargs))
        if name in FILLED:
            return self._make_filled(func, FILLED[name](args, kwargs), args, kwargs)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if all(self.tape.is_known(tensor) for tensor in given):
            return func(*args, **kwargs)
        if name in READS:
            self.tape.refuse("reads-values", f"the host reads values of the GPU's memory (aten.{name})")
        if name not in self._does:
            self._refuse_computing(name, changed_tensors(func, args, kwargs))
        return self._does[name](func, args, kwargs)

    def _refuse_computing(self, name: str, changed: Sequence[torch.Tensor]) -> None:
        for tensor in changed:
            self.tape.refuse_change_of_given(tensor, f"aten.{name} changes")
        is_product = name.startswith(CONTRACTIONS)
        reason = "delegation" if is_product else "computes-outside"
        self.tape.refuse(reason, f"PyTorch computed aten.{name}, where a kernel's launches must")

    def _make_filled(self, func: Any, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        made = self._shaped_as(func, args, kwargs)
        self.tape.add(RawFill(made, value))
        return made

    def _shaped_as(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        """Return new memory of the shape and layout that the operation gives its result."""
        shapes = tree_map(lambda leaf: _meta(leaf) if isinstance(leaf, torch.Tensor) else leaf, args)
        named = {k: _meta(v) if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}
        if any(argument.name == "device" for argument in func._schema.arguments):
            named["device"] = torch.device("meta")
        named.pop("pin_memory", None)
        return self._memory_like(func(*shapes, **named))

    def _memory_like(self, shape: torch.Tensor) -> torch.Tensor:
        return self.tape.make(torch.empty_strided(shape.shape, shape.stride(), dtype=shape.dtype))

    def _clone(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        made = self._shaped_as(func, args, kwargs)
        self._copy(made, args[0])
        return made

    def _copy_into(self, _func: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> torch.Tensor:
        target, source = args[:2]
        self._copy(target, source.expand(target.shape))
        return target  # type: ignore[no-any-return]

    def _copy_each(self, _func: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        for target, source in zip(args[0], args[1], strict=True):
            self._copy(target, source.expand(target.shape))

    def _copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        given, taken = (str(t.dtype).removeprefix("torch.") for t in (source, target))
        if given != taken and taken not in WIDENING.get(given, ()):
            detail = f"PyTorch made {taken} of {given}: a cast that loses values is no move of data"
            self.tape.refuse("computes-outside", detail)
        if target.numel():
            self.tape.add(RawCopy(target, source))

    def _fill(self, _func: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> torch.Tensor:
        target = args[0]
        value = args[1] if len(args) > 1 else 0
        if isinstance(value, torch.Tensor):
            if not self.tape.is_known(value):
                self._copy(target, value.expand(target.shape))
                return target  # type: ignore[no-any-return]
            value = value.item()
        self.tape.add(RawFill(target, value))
        return target  # type: ignore[no-any-return]

    def _join(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        made = self._shaped_as(func, args, kwargs)
        axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
        place = 0
        for part in args[0]:
            if part.numel():
                self._copy(made.narrow(axis, place, part.shape[axis]), part)
                place += part.shape[axis]
        return made

    def _stack(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        made = self._shaped_as(func, args, kwargs)
        axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
        for place, part in enumerate(args[0]):
            self._copy(made.select(axis, place), part)
        return made

    def _pad(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        source, pads = args[0], args[1]
        made = self._shaped_as(func, args, kwargs)
        self.tape.add(RawFill(made, args[2] if len(args) > 2 else kwargs.get("value", 0)))
        inside, kept = made, source
        for place in range(len(pads) // 2):
            axis = source.dim() - 1 - place
            before, after = pads[2 * place : 2 * place + 2]
            first, last = max(0, -before), source.shape[axis] - max(0, -after)
            kept = kept.narrow(axis, first, last - first)
            inside = inside.narrow(axis, max(0, before), last - first)
        self._copy(inside, kept)
        return made

    def _repeat(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        source, times = args[0], args[1]
        made = self._shaped_as(func, args, kwargs)
        extents = (1,) * (len(times) - source.dim()) + tuple(source.shape)
        pairs = [extent for pair in zip(times, extents, strict=True) for extent in pair]
        apart = [extent for each in extents for extent in (1, each)]
        self._copy(made.view(pairs), source.reshape(apart).expand(pairs))
        return made

    def _unshuffle(self, _func: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> torch.Tensor:
        source, by = args
        *outer, channels, height, width = source.shape
        with self:
            blocks = source.reshape(*outer, channels, height // by, by, width // by, by)
            apart = blocks.movedim((-3, -1), (-4, -3))
            return apart.reshape(*outer, channels * by * by, height // by, width // by)  # type: ignore[no-any-return]


def _meta(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
