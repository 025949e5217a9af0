"""Whether the answer of a call lies in memory that a launch of that call wrote."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.selftest.support.witnessed import WatchedCall


@pytest.fixture
def call() -> WatchedCall:
    return WatchedCall()


ORPHANS: dict[str, Callable[[WatchedCall], Tensor]] = {
    "empty": lambda _: torch.empty(2, 6, 8, 8),
    "zeros": lambda _: torch.zeros(2, 6, 8, 8),
    "x": lambda call: call.x,
    "copy-of-x": lambda call: call.x.clone(),
    "other-than-launched": lambda call: (call.launched(), torch.empty(2, 6, 8, 8))[1],
    "filled-afterwards": lambda call: call.launched().zero_(),
    "copied-over": lambda call: call.launched().copy_(torch.ones(2, 6, 8, 8)),
    "x-copied-over": lambda call: call.launched()[:, :4].copy_(call.x),
}


@pytest.mark.parametrize("orphan", ORPHANS.values(), ids=ORPHANS.keys())
def test_an_answer_that_no_launch_wrote_is_found(
    call: WatchedCall, orphan: Callable[[WatchedCall], Tensor]
) -> None:
    """Whatever was launched beside it, or before it was overwritten."""
    assert any("no launch of this call" in found for found in call.judge(orphan))


def test_an_answer_of_a_launch_that_did_not_read_x_is_found(call: WatchedCall) -> None:
    """It may be right for one input only."""

    def ignore_x(call: WatchedCall) -> Tensor:
        out = torch.empty(2, 6, 8, 8)
        call.launch([call.weight], [out])
        return out

    assert call.judge(ignore_x)


def test_an_answer_kept_from_an_earlier_call_is_found(call: WatchedCall) -> None:
    """What was launched then is not what this call made."""
    kept: list[Tensor] = []
    assert call.judge(lambda call: kept.append(call.launched()) or kept[0]) == []
    later = WatchedCall()
    assert later.judge(lambda call: (call.launched(), kept[0])[1])


def assigned(out: Tensor) -> Tensor:
    answer = torch.zeros(2, 6, 8, 8)
    answer[:, 1:] = out[:, 1:]
    return answer


COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda out: out,
    "view": lambda out: out.view(2, -1)[:1],
    "clone": lambda out: out.clone(),
    "permuted": lambda out: out.permute(0, 2, 3, 1).contiguous(),
    "cut": lambda out: out[:, :, 1:, 1:].contiguous(),
    "cast": lambda out: out.half().float(),
    "in-parts": lambda out: torch.cat([out[:1], out[1:]]),
    "into-buffer": lambda out: torch.empty(2, 6, 8, 8).copy_(out),
    "assigned": assigned,
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
def test_an_answer_copied_from_what_a_launch_made_is_fine(
    call: WatchedCall, copy: Callable[[Tensor], Tensor]
) -> None:
    """PyTorch moved it and computed nothing."""
    assert call.judge(lambda call: copy(call.launched())) == []


def test_an_answer_in_steps_of_two_launches_is_fine(call: WatchedCall) -> None:
    """The second reads what the first made of x."""

    def two_steps(call: WatchedCall) -> Tensor:
        between, out = call.launched(), torch.empty(2, 6, 8, 8)
        call.launch([between], [out])
        return out

    assert call.judge(two_steps) == []
