"""Where in a cluster there is room for a judge."""

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from kernelgate.batch.cluster.errors import ClusterError
from kernelgate.batch.side_by_side.seats import CORES_EACH, count_by_cores
from kernelgate.judging.options import AskedError

CARD_PREFIX = "accelerator_type:"
"""Of the resource by which Ray names a host's card, as `accelerator_type:H200`."""

UNNAMED_CARD = "GPU"


class Place(NamedTuple):
    """Room for one judge: its cores and its GPU, if it has one. Another host with such room does as well."""

    node: str
    cpus: int
    gpus: int


def list_places(nodes: Sequence[Mapping[str, Any]], jobs: int | None) -> list[Place]:
    """Return the places of so many judges, the hosts by turns; None asks for as many as there is room for.

    `nodes` are as `ray.nodes` gives them. Where there are GPUs each has one judge, and a host without one has
    none. Raises AskedError for more than there is room for, ClusterError if there is none.
    """
    alive = [node for node in nodes if node["Alive"]]
    has_gpus = any(_count(node, "GPU") for node in alive)
    by_host = [_list_host(node, has_gpus=has_gpus) for node in alive]
    places = [place for place in chain.from_iterable(zip_longest(*by_host)) if place is not None]
    if not places:
        raise ClusterError("--cluster: no host of it has a core for a judge; see `ray status`")
    if jobs is not None and not 1 <= jobs <= len(places):
        raise AskedError(f"--jobs {jobs}: allowed 1 to {len(places)}, for which the cluster has room")
    return places[:jobs]


def list_cards(nodes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the cards that a cluster has, each once; none where it has no GPU."""
    cards: set[str] = set()
    for node in nodes:
        if node["Alive"] and _count(node, "GPU"):
            named = {name.removeprefix(CARD_PREFIX) for name in node["Resources"] if CARD_PREFIX in name}
            cards |= named or {UNNAMED_CARD}
    return tuple(sorted(cards))


def _list_host(node: Mapping[str, Any], *, has_gpus: bool) -> list[Place]:
    cores, gpus = _count(node, "CPU"), _count(node, "GPU")
    if has_gpus:
        return [Place(node["NodeID"], min(CORES_EACH, cores // gpus), 1)] * gpus if gpus else []
    return [Place(node["NodeID"], min(CORES_EACH, cores), 0)] * count_by_cores(cores) if cores else []


def _count(node: Mapping[str, Any], resource: str) -> int:
    return int(node["Resources"].get(resource, 0))
