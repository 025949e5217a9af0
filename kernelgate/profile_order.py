"""What the program that a profiler starts is to call: said on its command line, since nobody talks to it."""

import msgspec


class ProfileOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Import a kernel file, and call its model at this batch, once with each configuration.

    With `ada_on` its PTX is that for sm_89, assembled for a GPU of this compute capability.
    """

    operation: str
    file: str
    batch: int
    pins: tuple[int, ...]
    ada_on: int | None = None


def encode_profile_order(order: ProfileOrder) -> str:
    """Return the order as one argument."""
    return msgspec.json.encode(order).decode()


def decode_profile_order(argument: str) -> ProfileOrder:
    """Return the order that an argument is; raises msgspec.DecodeError if it is none."""
    return msgspec.json.decode(argument, type=ProfileOrder)
