"""The report says what was tried: how many cases of each batch, value, magnitude, layout and relation."""

import msgspec

from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseResult
from kernelgate.correctness.coverage.tried import describe_tried
from kernelgate.correctness.result import Count, Tried
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.reporting.contents.checked import group_tried, name_gpu_laws

LARGEST = ALEXNET_CONV1.max_batch
USUAL = Case(batch=1, family="normal", seed=0, pin=0)


def tried(*cases: Case) -> Tried:
    return describe_tried([CaseResult(case=case) for case in cases], ALEXNET_CONV1)


def counted(counts: tuple[Count, ...]) -> dict[str, int]:
    return {each.what: each.cases for each in counts}


def changed(**changes: object) -> Case:
    return msgspec.structs.replace(USUAL, **changes)


def test_batches_lie_on_a_logarithmic_axis_up_to_the_largest() -> None:
    """Ranges that no case tried are there too, with none."""
    batches = counted(tried(*(changed(batch=batch) for batch in (1, 2, 4, 5, 256, 257, LARGEST))).batches)
    ends = ["1", "2-4", "5-16", "17-64", "65-256", "257-1024", "1025-4096", f"4097-{LARGEST}"]
    assert batches == dict(zip(ends, (1, 2, 1, 0, 1, 1, 0, 1), strict=True))


def test_magnitudes_are_those_of_the_values() -> None:
    """Of the pixels and of the filters, each by itself."""
    sizes = {each.size: (each.x, each.weight) for each in tried(USUAL, changed(family="huge")).magnitudes}
    assert sizes["10^-3 to 10^3"] == (1, 2)
    assert sizes["10^10 to 10^20"] == (1, 0)
    assert sum(x for x, _ in sizes.values()) == 2 + sizes["10^-10 to 10^-3"][0]


def test_values_near_a_number_are_told_apart() -> None:
    assert counted(tried(USUAL, changed(near="x:447a0000"), changed(seed=1)).values) == {
        "normal": 2,
        "near x:447a0000": 1,
    }


def test_a_case_that_could_not_be_tried_does_not_count() -> None:
    assert describe_tried([CaseResult(case=USUAL, untried="why")], ALEXNET_CONV1).layouts == ()


def test_the_page_says_what_only_a_gpu_shows() -> None:
    """And whether it was one."""
    seen = tried(changed(layout="offset", relation="repeat", pin=3))
    shown = {each.what for _, counts in group_tried(seen) for each in counts}
    assert {"offset", "repeat", "config 3"} <= shown
    assert name_gpu_laws(seen, "interpreter")[1].startswith("not seen here: second-opinion")
    assert "not seen here" not in name_gpu_laws(seen, "GPU")[1]


def test_the_table_says_how_thin_what_is_slow_was_sampled() -> None:
    """Over all cases; nothing is said where none was."""
    results = [CaseResult(case=USUAL, thinned=(2, 100)), CaseResult(case=changed(seed=1), thinned=(3, 200))]
    said = dict(group_tried(describe_tried(results, ALEXNET_CONV1)))
    assert said["too slow to interpret for more"] == [Count(what="5 of 300 programs ran", cases=2)]
    assert "too slow to interpret for more" not in dict(group_tried(tried(USUAL)))
