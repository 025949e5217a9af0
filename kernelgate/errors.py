"""The base of every error that a user can cause and mend."""


class KernelgateError(Exception):
    """A command cannot go on; the text says what is wrong, where, and what to do.

    The command line prints the text. Any other exception is an error of the gate's own.
    """


class InputsError(KernelgateError):
    """The values of a case cannot be made: a fault of the gate's own, and of no kernel."""
