"""Who is told of a judgement while it runs."""

from typing import Protocol

from kernelgate.pipeline.stage import StageName, StageResult


class Watch(Protocol):
    """Is told of each step of a stage, and of its end."""

    def note(self, stage: StageName) -> None:
        """Take note that the stage begins, or, the same stage again, of a step of it."""

    def ended(self, stage: StageName, result: StageResult) -> None:
        """Take note of how the stage ended."""

    def stop(self) -> None:
        """Take note that nothing more comes."""


class Silent:
    """Tells nobody."""

    def note(self, stage: StageName) -> None:
        """Say nothing."""

    def ended(self, stage: StageName, result: StageResult) -> None:
        """Say nothing."""

    def stop(self) -> None:
        """Say nothing."""
