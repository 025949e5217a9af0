"""What a mode cannot do that it was asked: no fault of the kernel file."""


class UntriedError(RuntimeError):
    """A call that cannot be tried here."""
