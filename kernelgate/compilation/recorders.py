"""Who says which launch plan a call of a kernel file has: the file itself in a sandbox, or a plan book."""

from typing import Protocol

from kernelgate import protocol
from kernelgate.compilation.recording import PlannedCall, Recorded, record
from kernelgate.execution.plan_files import StoredPlan, keep_plan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.plan_book.book import BookError, PlanBook
from kernelgate.plan_book.index import BookedCall, CallKey
from kernelgate.plan_book.notes import BookNotes
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker


class Recorder(Protocol):
    """Answers for one kernel file, one call at a time."""

    def load(self) -> protocol.Loaded:
        """Return what the file has, once it is imported; raises WorkerFault."""

    def record(self, call: PlannedCall) -> Recorded:
        """Return the plan of a call, kept in the sandbox; raises WorkerFault, PlanError, BookError."""

    def close(self) -> None:
        """End what runs for it."""


def open_recorder(sandbox: Sandbox, kernel: KernelFile, name: str = "") -> Recorder:
    """Return who answers for a kernel file: its plan book if the sandbox has one, else the file itself.

    Faults of a process that imports the file carry the name.
    """
    book, notes = sandbox.book, sandbox.notes
    if book is not None and sandbox.has_book_of(kernel.sha256):
        return BookRecorder(sandbox, book)
    worker = sandbox.start("record", kernel, name)
    if notes is not None and notes.kernel_sha256 == kernel.sha256:
        return NotedRecorder(sandbox, worker, notes)
    return LiveRecorder(sandbox, worker)


class LiveRecorder:
    """A process that imports the kernel file and calls it."""

    def __init__(self, sandbox: Sandbox, worker: Worker) -> None:
        self.sandbox, self.worker = sandbox, worker

    def load(self) -> protocol.Loaded:
        """Return what the file has, once it is imported."""
        return self.sandbox.await_loaded(self.worker)

    def record(self, call: PlannedCall) -> Recorded:
        """Return the plan of a call, made now."""
        return record(self.sandbox, self.worker, call)

    def close(self) -> None:
        """End the process."""
        self.worker.close()


class NotedRecorder(LiveRecorder):
    """The same, with all that it says noted down; what was said of a call is not asked again."""

    def __init__(self, sandbox: Sandbox, worker: Worker, notes: BookNotes) -> None:
        super().__init__(sandbox, worker)
        self.notes = notes

    def load(self) -> protocol.Loaded:
        """Return what the file has, once it is imported."""
        loaded = super().load()
        self.notes.autotuned = loaded.autotuned
        return loaded

    def record(self, call: PlannedCall) -> Recorded:
        """Return the plan of a call, made now or before."""
        found = self.notes.find(key_of(call))
        if found is not None:
            return _recorded(*found)
        recorded = super().record(call)
        self.notes.note(call.card, _booked(call, recorded), recorded.stored)
        return recorded


class BookRecorder:
    """A plan book of the file, which is not run."""

    def __init__(self, sandbox: Sandbox, book: PlanBook) -> None:
        self.sandbox, self.book = sandbox, book

    def load(self) -> protocol.Loaded:
        """Return what the book says that the file has."""
        return protocol.Loaded(autotuned=self.book.index.autotuned)

    def record(self, call: PlannedCall) -> Recorded:
        """Return the plan of a call as the book has it; raises BookError for a call that it lacks."""
        if call.assembled_for is not None:
            raise BookError("a plan book holds each GPU's own code: judge without --code-path")
        booked = self.book.find(key_of(call), call.card)
        if booked.plan is None:
            return _recorded(booked, None)
        return _recorded(booked, keep_plan(self.book.plan_of(booked), self.sandbox.plans))

    def close(self) -> None:
        """Nothing runs."""


def key_of(call: PlannedCall) -> CallKey:
    """Return what a plan book knows the call by."""
    return CallKey(call.card.name, call.batch, call.pin, call.form)


def _booked(call: PlannedCall, recorded: Recorded) -> BookedCall:
    unplanned, detail = recorded.broken or ("", "")
    return BookedCall(
        gpu=call.card.name,
        batch=call.batch,
        pin=call.pin,
        form=call.form,
        plan=recorded.stored.sha256 if recorded.stored else None,
        held=recorded.held,
        refused=recorded.refused,
        unplanned=unplanned,
        detail=detail,
    )


def _recorded(booked: BookedCall, stored: StoredPlan | None) -> Recorded:
    broken = (booked.unplanned, booked.detail) if booked.unplanned else None
    return Recorded(stored=stored, held=booked.held, refused=booked.refused, broken=broken)
