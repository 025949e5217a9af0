"""A plan book that somebody else wrote, maybe an attacker: all of it is checked before anything is used."""

import hashlib
import os
import re
import stat
from pathlib import Path

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.execution.cards import Card
from kernelgate.execution.plan_check import PlanError
from kernelgate.execution.plan_files import PLAN_NAME, StoredPlan, read_plan
from kernelgate.files import read_foreign
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation
from kernelgate.plan_book.index import INDEX_NAME, SCHEMA, BookedCall, BookIndex, CallKey

MAX_INDEX_BYTES = 16 * 2**20
MAX_FILES = 10_000
MAX_BOOK_BYTES = 256 * 2**20
"""All files together. The accepted kernel's book has a tenth of it."""

FILE = re.compile(r"[0-9a-f]{64}\.(plan\.json|cubin|ptx|ttir|bin)")
ASKED_OF_ANY = ("total_memory",)
"""What two GPUs of one kind may differ in: the driver keeps some of the memory for itself."""


class BookError(KernelgateError, ValueError):
    """A plan book that cannot be used; the text says which, and what is wrong."""


class PlanBook:
    """The plans of a kernel file, checked; `sha256` is that of the index, which names all the rest."""

    def __init__(self, folder: Path, index: BookIndex, sha256: str, operation: Operation) -> None:
        self.folder, self.index, self.sha256, self.operation = folder, index, sha256, operation
        self._calls = {call.key: call for call in index.calls}
        self._cards = {card.name: card for card in index.cards}

    def __contains__(self, key: CallKey) -> bool:
        return key in self._calls

    def find(self, key: CallKey, card: Card) -> BookedCall:
        """Return what the book says of a call on a GPU; raises BookError if that is nothing."""
        self.require_card(card)
        if key not in self._calls:
            raise BookError(f"{self.folder}: holds no answer to the call {key}")
        return self._calls[key]

    def require_card(self, card: Card) -> None:
        """Raise BookError unless the file was recorded for a GPU like this one."""
        shown = self._cards.get(card.name)
        if shown is None:
            known = ", ".join(self._cards) or "no GPU"
            raise BookError(f"{self.folder}: holds plans for {known}, and none for {card.name}")
        for field in Card.__struct_fields__:
            told, is_so = getattr(shown, field), getattr(card, field)
            if field not in ASKED_OF_ANY and told != is_so:
                raise BookError(
                    f"{self.folder}: {card.name}: {field} is {told} in the book, and {is_so} here"
                )

    def plan_of(self, call: BookedCall) -> StoredPlan:
        """Return the plan of a call that has one."""
        return read_plan(self.folder / f"{call.plan}.{PLAN_NAME}", self.operation)


def read_book(folder: Path, operation: Operation, kernel_sha256: str, triton: str) -> PlanBook:
    """Return the book of this very kernel file, made by this Triton; raises BookError for everything else."""
    files = _list_files(folder)
    try:
        text = read_foreign(folder / INDEX_NAME, MAX_INDEX_BYTES)
        index = _decode(text)
    except OSError as error:
        raise BookError(f"{folder / INDEX_NAME}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise BookError(f"{folder / INDEX_NAME}: is no plan book: {error!s:.300}") from error
    for what, got, allowed in (
        ("operation", index.operation, operation.name),
        ("kernel file", index.kernel_sha256, kernel_sha256),
        ("Triton", index.triton, triton),
    ):
        if got != allowed:
            raise BookError(f"{folder}: is of {what} {got!r:.80}, allowed: {allowed!r}")
    book = PlanBook(folder, index, hashlib.sha256(text).hexdigest(), operation)
    _check_plans(book, files)
    return book


def _list_files(folder: Path) -> frozenset[str]:
    """Return the names of what lies beside the index, each the digest of what it holds."""
    total, names = 0, []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(found.st_mode):
                    raise BookError(f"{folder}: {entry.name!r:.100} is no regular file")
                if entry.name != INDEX_NAME and not FILE.fullmatch(entry.name):
                    raise BookError(f"{folder}: {entry.name!r:.100} is no file of a plan book")
                total += found.st_size
                names.append(entry.name)
                if len(names) > MAX_FILES or total > MAX_BOOK_BYTES:
                    raise BookError(f"{folder}: more than {MAX_FILES} files or {MAX_BOOK_BYTES} bytes")
    except OSError as error:
        raise BookError(f"{folder}: cannot be read: {error.strerror}") from error
    return frozenset(names)


def _decode(text: bytes) -> BookIndex:
    schema = msgspec.json.decode(text, type=_Versioned).schema
    if schema != SCHEMA:
        raise ValueError(f"schema is {schema!r:.80}, allowed: {SCHEMA}")
    return msgspec.json.decode(text, type=BookIndex)


class _Versioned(msgspec.Struct, frozen=True):
    schema: str


def _check_plans(book: PlanBook, files: frozenset[str]) -> None:
    """Raise BookError unless each call's plan is there, is sound, and is the plan of that very call."""
    checked: dict[str, StoredPlan] = {}
    for call in book.index.calls:
        if call.plan is None:
            continue
        try:
            if call.plan not in checked:
                checked[call.plan] = _check_plan(book, call, files)
            _require_same(book, call, checked[call.plan])
        except PlanError as error:
            raise BookError(f"{book.folder}: the plan of {call.key}: {error}") from error


def _config(index: BookIndex, pin: int | None) -> KernelConfig | None:
    """Return the configuration that a pin names: that of the autotuned kernel that has the most."""
    configs = max((tuned.configs for tuned in index.autotuned), key=len, default=())
    return configs[pin % len(configs)] if configs and pin is not None else None


def _check_plan(book: PlanBook, call: BookedCall, files: frozenset[str]) -> StoredPlan:
    name = f"{call.plan}.{PLAN_NAME}"
    if name not in files:
        raise PlanError(f"{book.folder / name}: is missing")
    stored = book.plan_of(call)
    if stored.sha256 != call.plan:
        raise PlanError(f"{book.folder / name}: holds something else than its name says")
    return stored


def _require_same(book: PlanBook, call: BookedCall, stored: StoredPlan) -> None:
    """Raise PlanError unless the plan says of itself what the index says of it."""
    plan, index = stored.plan, book.index
    card = next(each for each in index.cards if each.name == call.gpu)
    target = f"sm_{card.capability}"
    for what, got, allowed in (
        ("kernel file", plan.kernel_sha256, index.kernel_sha256),
        ("Triton", plan.triton, index.triton),
        ("target", plan.target, target),
        ("card", plan.card, target),
        ("batch", plan.batch, call.batch),
        ("form of the call", plan.form, call.form),
        ("configuration", plan.config, _config(index, call.pin)),
        ("number of buffers", len(plan.buffers), len(call.held)),
    ):
        if got != allowed:
            raise PlanError(f"{what} is {got!s:.200}, in the index {allowed!s:.200}")
