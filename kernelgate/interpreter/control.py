"""Control flow for many programs at once: where they part, each part runs by itself, and they meet again.

Everything that may wait is a generator. It yields where a program could be waiting for another one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kernelgate.interpreter.dialects.registry import lacking
from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.frames import Frame
from kernelgate.interpreter.steps import CONTROL, Code, Control, ReadyBlock, Step, Steps, Turns
from kernelgate.interpreter.text.module import Operation
from kernelgate.interpreter.values import Rows, Value, is_true_for_all, merge, take

MAX_CALLS = 64
"""Functions that call functions, nested: more is a recursion, which no kernel has."""


class EndlessError(CannotInterpretError):
    """Loops ran for more turns than a launch is given."""


def _controls(name: str) -> Callable[[Control], Control]:
    def register(control: Control) -> Control:
        CONTROL[name] = control
        return control

    return register


def run_block(code: Code, frame: Frame, block: ReadyBlock) -> Turns:
    """Run a block; return the values that its end hands on."""
    values = frame.values
    for step in block.steps:
        if step.control is not None:
            found = yield from step.control(code, frame, step)
        else:
            given = [values[name] if name in values else frame[name] for name in step.operands]
            if step.needs_group:
                frame.group.note_line(step.operation.line)
            found = step.compute(frame.group, *given) if step.needs_group else step.compute(*given)  # type: ignore[misc]
            if len(step.results) == 1:
                values[step.results[0]] = found
                continue
        if step.results:
            values.update(zip(step.results, found, strict=True))
    if block.end is None:
        return ()
    return tuple(frame[name] for name in block.end.operands)


def spend_turn(code: Code) -> None:
    """Count a turn of a loop; raises EndlessError when there are too many."""
    code.turns_left -= 1
    if code.turns_left < 0:
        raise EndlessError("loops do not end: the launch has used up its turns")


def _only(steps: Steps) -> ReadyBlock:
    if len(steps) != 1:
        raise CannotInterpretError("a region of several blocks cannot be interpreted")
    return next(iter(steps.values()))


def _bind(frame: Frame, names: Sequence[str], values: Sequence[Value]) -> None:
    frame.values.update(zip(names, values, strict=True))


class _Parts:
    """What parts of the programs have come to, to be put together."""

    def __init__(self, programs: int) -> None:
        self.programs = programs
        self.pieces: list[tuple[Rows, tuple[Value, ...]]] = []

    def add(self, rows: Rows, values: tuple[Value, ...]) -> None:
        if len(rows):
            self.pieces.append((rows, values))

    def together(self) -> tuple[Value, ...]:
        count = len(self.pieces[0][1]) if self.pieces else 0
        return tuple(
            merge([(rows, values[place]) for rows, values in self.pieces], self.programs)
            for place in range(count)
        )


@_controls("scf.if")
def run_if(code: Code, frame: Frame, step: Step) -> Turns:
    """Run one branch, or each for the programs that take it."""
    condition = frame[step.operands[0]]
    decided = is_true_for_all(condition)
    if decided is not None:
        return (yield from _run_branch(code, frame, step, taken=decided))
    parts = _Parts(len(frame.group))
    for taken in (True, False):
        rows = np.flatnonzero(condition == taken)
        parts.add(rows, (yield from _run_branch(code, frame.part(rows), step, taken=taken)))
    return parts.together()


def _run_branch(code: Code, frame: Frame, step: Step, *, taken: bool) -> Turns:
    if not taken and len(step.regions) == 1:
        return ()
    return (yield from run_block(code, frame, _only(step.regions[0 if taken else 1])))


class _Range(NamedTuple):
    lower: Array
    step: Array
    turns: Array
    """How often each program goes round."""


def _range_of(frame: Frame, operation: Operation) -> _Range:
    lower, upper, step = (
        frame[name].astype(np.int64) for name in (operation.carried[0][1], *operation.operands[:2])
    )
    if "unsigned" in operation.words:
        bits = 8 * frame[operation.operands[0]].itemsize
        lower, upper = lower % 2**bits, upper % 2**bits
    if (step <= 0).any():
        raise lacking(operation, "with a step that is not positive")
    return _Range(lower, step, np.maximum(-((lower - upper) // step), 0))


@_controls("scf.for")
def run_for(code: Code, frame: Frame, step: Step) -> Turns:
    """Run the body for each number; programs with fewer turns stop earlier."""
    operation, body = step.operation, _only(step.regions[0])
    counted, names = operation.carried[0][0], [name for name, _ in operation.carried[1:]]
    bounds, kind = _range_of(frame, operation), frame[operation.operands[0]].dtype
    values = tuple(frame[begun] for _, begun in operation.carried[1:])
    rows, part, parts = np.arange(len(frame.group)), frame, _Parts(len(frame.group))
    for turn in range(int(bounds.turns.max())):
        going = bounds.turns > turn
        if not going.all():
            parts.add(rows[~going], tuple(take(each, np.flatnonzero(~going)) for each in values))
            stay = np.flatnonzero(going)
            rows, values = rows[stay], tuple(take(each, stay) for each in values)
            bounds, part = _Range(*(take(each, stay) for each in bounds)), frame.part(rows)
        spend_turn(code)
        part.values[counted] = (bounds.lower + turn * bounds.step).astype(kind)
        _bind(part, names, values)
        values = yield from run_block(code, part, body)
    parts.add(rows, values)
    return parts.together()


@_controls("scf.while")
def run_while(code: Code, frame: Frame, step: Step) -> Turns:
    """Run as long as the condition holds; programs for which it no longer does stop earlier."""
    operation, before, after = step.operation, _only(step.regions[0]), _only(step.regions[1])
    names = [name for name, _ in operation.carried]
    values = tuple(frame[begun] for _, begun in operation.carried)
    rows, part, parts = np.arange(len(frame.group)), frame, _Parts(len(frame.group))
    first = True
    while True:
        _bind(part, names, values)
        condition, *handed = yield from run_block(code, part, before)
        going = np.broadcast_to(condition, len(rows))
        if not going.all():
            stop, stay = np.flatnonzero(~going), np.flatnonzero(going)
            parts.add(rows[stop], tuple(take(each, stop) for each in handed))
            rows, handed = rows[stay], [take(each, stay) for each in handed]
            if not len(rows):
                return parts.together()
            part = frame.part(rows)
        _bind(part, after.parameters, handed)
        before_turn, values = values, (yield from run_block(code, part, after))
        changed = first or _differ(before_turn, values)
        if changed or not code.waits:
            spend_turn(code)
        first = False
        yield changed


def _differ(before: tuple[Value, ...], after: tuple[Value, ...]) -> bool:
    """Whether a loop goes on with other values than it had; if not, it does the same again."""
    pairs = zip(before, after, strict=True)
    return not all(a is b or (not isinstance(a, tuple) and np.array_equal(a, b)) for a, b in pairs)


@_controls("tt.call")
def run_call(code: Code, frame: Frame, step: Step) -> Turns:
    """Run another function with the values given."""
    name = step.operation.words[0]
    called = Frame(frame.group)
    called.calls = frame.calls + 1
    if called.calls > MAX_CALLS:
        raise lacking(step.operation, f"more than {MAX_CALLS} deep, a recursion,")
    _bind(called, code.parameters_of(name), [frame[each] for each in step.operands])
    return (yield from run_function(code, called, name))


def run_function(code: Code, frame: Frame, name: str) -> Turns:
    """Run a function whose parameters are bound."""
    return (yield from run_blocks(code, frame, code.functions[name]))


def run_blocks(code: Code, frame: Frame, blocks: Steps, begun: Sequence[Value] = ()) -> Turns:
    """Run a region's blocks, those of programs that part at a branch one after the other.

    `begun` are the values of the first block's parameters, unless they are bound already.
    """
    parts = _Parts(len(frame.group))
    pending = [(frame, np.arange(len(frame.group)), next(iter(blocks.values())), tuple(begun))]
    while pending:
        part, rows, block, given = pending.pop()
        if given:
            _bind(part, block.parameters, given)
        values = yield from run_block(code, part, block)
        if block.end is None or not block.end.successors:
            parts.add(rows, values)
            continue
        spend_turn(code)
        for chosen, number in _branches(block.end, values):
            target = block.end.successors[number]
            here = part if chosen is None else part.part(chosen)
            there = rows if chosen is None else rows[chosen]
            pending.append((here, there, blocks[target.block], tuple(here[n] for n in target.arguments)))
    return parts.together()


def _branches(end: Operation, values: tuple[Value, ...]) -> list[tuple[Rows | None, int]]:
    """Return which programs go to which successor, None for all of them."""
    if end.name == "cf.br":
        return [(None, 0)]
    decided = is_true_for_all(values[0])
    if decided is not None:
        return [(None, 0 if decided else 1)]
    return [(np.flatnonzero(values[0] == taken), number) for number, taken in enumerate((True, False))]
