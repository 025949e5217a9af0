"""Reductions and scans with any region: all lanes of all programs combine at once, halves with halves.

A lane takes the place of a program in the region, so that a region may even branch.
"""

from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np

from kernelgate.interpreter.control import run_blocks
from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.frames import Frame
from kernelgate.interpreter.steps import CONTROL, Code, Step, Steps, Turns


class _Combine(NamedTuple):
    code: Code
    frame: Frame
    blocks: Steps

    def __call__(self, left: list[Array], right: list[Array]) -> Generator[bool, None, list[Array]]:
        """Return what the region makes of pairs of lanes, given as [n, programs * rest]."""
        shape = left[0].shape
        rows = np.tile(_programs_of_lanes(self.frame, shape[1]), shape[0])
        lanes = self.frame.part(rows)
        given = [each.reshape(-1) for each in (*left, *right)]
        found = yield from run_blocks(self.code, lanes, self.blocks, given)
        return [np.broadcast_to(each, rows.shape).reshape(shape) for each in found]


def _programs_of_lanes(frame: Frame, lanes: int) -> Array:
    programs = min(len(frame.group), lanes)
    return np.repeat(np.arange(programs), lanes // programs)


class _Lanes(NamedTuple):
    """Operands with the axis that is combined first, and all else in a row: [n, programs * rest]."""

    arrays: list[Array]
    programs: int
    rest: tuple[int, ...]


def _lay_out(frame: Frame, step: Step, axis: int) -> _Lanes:
    """Return the operands ready to be combined; programs stay one where all have the same."""
    values = [frame[name] for name in step.operands]
    shape = step.operation.inputs[0].shape
    same = all(each.shape[0] == 1 for each in values)
    # A region that uses a value from outside may tell programs apart.
    programs = 1 if same and len(frame.group) == 1 else max(each.shape[0] for each in values)
    arrays = [
        np.ascontiguousarray(np.moveaxis(np.broadcast_to(each, (programs, *shape)), axis + 1, 0))
        for each in values
    ]
    return _Lanes(
        [each.reshape(each.shape[0], -1) for each in arrays], programs, shape[:axis] + shape[axis + 1 :]
    )


def _run_reduce(code: Code, frame: Frame, step: Step) -> Turns:
    """Return the values of an axis combined into one."""
    lanes = _lay_out(frame, step, step.operation.attributes["axis"])
    combine = _Combine(code, frame, step.regions[0])
    arrays = lanes.arrays
    while len(arrays[0]) > 1:
        half = len(arrays[0]) // 2
        odd = [each[2 * half :] for each in arrays]
        arrays = yield from combine(
            [each[:half] for each in arrays], [each[half : 2 * half] for each in arrays]
        )
        arrays = [np.concatenate(pair) if len(pair[1]) else pair[0] for pair in zip(arrays, odd, strict=True)]
    return tuple(each.reshape(lanes.programs, *lanes.rest) for each in arrays)


def _run_scan(code: Code, frame: Frame, step: Step) -> Turns:
    """Return for each place of an axis the values up to it combined (Kogge and Stone's doubling)."""
    axis = step.operation.attributes["axis"]
    reverse = bool(step.operation.attributes.get("reverse", False))
    lanes = _lay_out(frame, step, axis)
    combine = _Combine(code, frame, step.regions[0])
    arrays = [each[::-1] if reverse else each for each in lanes.arrays]
    distance = 1
    while distance < len(arrays[0]):
        further = yield from combine(
            [each[:-distance] for each in arrays], [each[distance:] for each in arrays]
        )
        arrays = [np.concatenate([each[:distance], more]) for each, more in zip(arrays, further, strict=True)]
        distance *= 2
    arrays = [each[::-1] if reverse else each for each in arrays]
    return tuple(_back(each, lanes, axis) for each in arrays)


def _back(values: Array, lanes: _Lanes, axis: int) -> Array:
    shaped: Any = values.reshape(len(values), lanes.programs, *lanes.rest)
    moved: Array = np.moveaxis(shaped, 0, axis + 1)
    return moved


def _run_map(code: Code, frame: Frame, step: Step) -> Turns:
    """Return what the region makes of each lane; with `pack` it gets several lanes at once."""
    pack = int(step.operation.attributes.get("pack", 1))
    shape = step.operation.inputs[0].shape
    programs = max(frame[name].shape[0] for name in step.operands)
    packs = [np.broadcast_to(frame[name], (programs, *shape)).reshape(-1, pack).T for name in step.operands]
    lanes = frame.part(_programs_of_lanes(frame, packs[0].shape[1])[: packs[0].shape[1]])
    given = [lane for each in packs for lane in each]
    found = yield from run_blocks(code, lanes, step.regions[0], given)
    count = packs[0].shape[1]
    results = [
        np.stack([np.broadcast_to(each, count) for each in found[at : at + pack]], axis=1)
        for at in range(0, len(found), pack)
    ]
    return tuple(each.reshape(programs, *shape) for each in results)


CONTROL["tt.reduce"] = _run_reduce
CONTROL["tt.scan"] = _run_scan
CONTROL["tt.map_elementwise"] = _run_map
