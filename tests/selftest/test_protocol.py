"""What the judge asks arrives as it was asked, on a GPU as in the interpreter."""

import pytest

from kernelgate import protocol
from kernelgate.operations.draws.recipe import Recipe

RECIPE = Recipe(
    family="normal", seed=7, batch=2, exponents=(("x", 20),), absent=("bias",), seeds=(("weight", 3),)
)


@pytest.mark.parametrize(
    "request_sent",
    [
        protocol.RunPlan(plan="p.json", recipe=RECIPE, layout="grey", poison_bits=1),
        protocol.RunPlan(
            plan="p.json", recipe=RECIPE, layout="offset", poison_bits=1, programs=40, seconds=4.0
        ),
        protocol.UseOne(recipe=RECIPE, layout="contiguous"),
        protocol.SendRun(out="out", places="places", items=(0, 3)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_request_arrives_as_it_was_sent(request_sent: protocol.Request) -> None:
    """JSON has no infinity: a limit that is not set is none."""
    assert protocol.decode_request(protocol.encode(request_sent)) == request_sent
