"""What the program that a profiler starts is to call: said on its command line, since nobody talks to it."""

import msgspec

GO = b"go\n"
"""What it waits for on its standard input before it touches the GPU."""


class ProfileOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make one whole call of each of these launch plans, which are of this batch."""

    operation: str
    batch: int
    plans: tuple[str, ...]


def encode_profile_order(order: ProfileOrder) -> str:
    """Return the order as one argument."""
    return msgspec.json.encode(order).decode()


def decode_profile_order(argument: str) -> ProfileOrder:
    """Return the order that an argument is; raises msgspec.DecodeError if it is none."""
    return msgspec.json.decode(argument, type=ProfileOrder)
