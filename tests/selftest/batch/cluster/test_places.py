"""Where a cluster has room for judges, and which cards it has."""

from typing import Any

import pytest

from kernelgate.batch.cluster.errors import ClusterError
from kernelgate.batch.cluster.places import list_cards, list_places
from kernelgate.judging.options import AskedError


def node(name: str, *, alive: bool = True, card: str = "", **resources: float) -> dict[str, Any]:
    named = {f"accelerator_type:{card}": 1.0} if card else {}
    return {"NodeID": name, "Alive": alive, "Resources": {"memory": 1.0, **resources, **named}}


def test_cores_make_room_as_they_do_on_one_host() -> None:
    """A judge for every four, one at least; the hosts come by turns, and one that has left has none."""
    nodes = [node("a", CPU=9.0), node("b", CPU=2.0), node("c", CPU=64.0, alive=False), node("d", CPU=0.0)]
    assert list_places(nodes, None) == [("a", 4, 0), ("b", 2, 0), ("a", 4, 0)]
    assert list_places(nodes, 2) == [("a", 4, 0), ("b", 2, 0)]
    assert list_cards(nodes) == ()


def test_each_gpu_has_one_judge_and_a_host_without_one_none() -> None:
    """All judgements of a batch are on GPUs, or none is."""
    nodes = [
        node("a", CPU=16.0, GPU=2.0, card="H200"),
        node("b", CPU=1.0, GPU=2.0, card="L4"),
        node("c", CPU=64.0),
    ]
    assert list_places(nodes, None) == [("a", 4, 1), ("b", 0, 1), ("a", 4, 1), ("b", 0, 1)]
    assert list_cards(nodes) == ("H200", "L4")


def test_a_card_that_ray_does_not_name_is_one() -> None:
    """The question is another one than without a GPU."""
    assert list_cards([node("a", CPU=4.0, GPU=1.0)]) == ("GPU",)


@pytest.mark.parametrize("jobs", [0, 4])
def test_more_judges_than_there_is_room_for_are_refused(jobs: int) -> None:
    """They would wait for ever."""
    with pytest.raises(AskedError, match="allowed 1 to 3"):
        list_places([node("a", CPU=12.0)], jobs)


def test_a_cluster_without_room_is_named() -> None:
    """Its head may have no cores to give."""
    with pytest.raises(ClusterError, match="no host of it has a core"):
        list_places([node("a", CPU=0.0)], None)
