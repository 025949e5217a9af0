"""Cases on a GPU: the truth comes in parts, cuDNN is asked too, of large batches some images count."""

from typing import Any

import pytest
import torch

from kernelgate.correctness import truths
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import ITEMS_OF_LARGE, MAX_WHOLE_BATCH, CaseResult
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.truth import truth as truth_module
from kernelgate.operations.truth.reference import Tensors, Truth
from tests.selftest.support.pretended_runner import AN_ITEM, Change, make_case, make_case_runner, spoiled


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what would be on the GPU stay where it is."""
    for module in (truth_module, truths):
        monkeypatch.setattr(module, "to_gpu", lambda values: values)


def examine(case: Case, change: Change | None = None) -> tuple[CaseResult, Any]:
    case_runner, caller = make_case_runner(change, interprets=False)
    return case_runner.run(case), caller


@pytest.mark.parametrize(
    "changes", [{}, {"batch": 70}, {"family": "special"}, {"relation": "repeat"}], ids=str
)
def test_a_kernel_that_is_right_breaks_nothing(changes: dict[str, Any]) -> None:
    """CuDNN's own error is told beside it, but where there are values that it need not agree on."""
    seen, _ = examine(make_case(**changes))
    assert seen.finding is None
    assert (seen.vendor_ratio is None) == (changes.get("family") == "special")


@pytest.mark.parametrize("image", [0, 31, 32, 40, 69])
def test_a_fault_in_any_part_of_a_batch_is_named_by_its_place(
    image: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The truth is made in parts; no part is left out, and none is taken for another."""
    monkeypatch.setattr(truth_module, "ELEMENTS_AT_ONCE", 32 * AN_ITEM)
    seen, _ = examine(make_case(batch=70), lambda run, _: spoiled(run, image * AN_ITEM + 10))
    assert seen.finding is not None
    assert seen.finding.detail.startswith(f"out[{image},1,0,1]: got 1000000")


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the small operation's items count as pictures do: of 700 some are compared."""
    monkeypatch.setattr(Operation, "granule", 1)


@pytest.mark.parametrize(("batch", "compared"), [(MAX_WHOLE_BATCH, 0), (700, ITEMS_OF_LARGE)])
def test_of_a_large_batch_some_images_are_compared(batch: int, compared: int) -> None:
    """First and last among them, and none twice."""
    seen, caller = examine(make_case(batch=batch))
    items = caller.calls[0].items
    assert seen.finding is None
    assert len(set(items)) == len(items) == compared
    assert not items or (items[0], items[-1]) == (0, batch - 1)


def test_a_fault_in_a_compared_image_of_a_large_batch_is_named() -> None:
    """By its image in the batch, not among those compared."""
    seen, _ = examine(make_case(batch=700), lambda run, _: spoiled(run))
    assert seen.finding is not None
    assert seen.finding.detail.startswith("out[699,31,2,2]: got 1000000")


@pytest.mark.parametrize("relation", ["sliced-batch", "shuffled-batch", "repeat"])
@pytest.mark.parametrize("seed", [4, 5])
def test_a_large_batch_can_be_sliced_and_shuffled(relation: str, seed: int) -> None:
    """A replay may ask for it: no image is compared that the second call has not."""
    seen, caller = examine(make_case(batch=700, relation=relation, seed=seed))
    assert seen.finding is None
    assert all(max(call.items) < call.recipe.batch for call in caller.calls)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Take note of how many items each truth is computed of."""
    counts: list[int] = []
    everywhere = truth_module.truth_everywhere

    def count(operation: Operation, tensors: Tensors) -> Truth:
        counts.append(len(tensors["x"]))
        return everywhere(operation, tensors)

    monkeypatch.setattr(truth_module, "truth_everywhere", count)
    return counts


def test_of_equal_items_the_truth_is_computed_once(
    computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large batch repeats 64 of them; and in parts that fit."""
    monkeypatch.setattr(truth_module, "ELEMENTS_AT_ONCE", 40 * AN_ITEM)
    assert examine(make_case(batch=MAX_WHOLE_BATCH))[0].finding is None
    assert computed == [40, 24]


def test_an_equal_call_has_the_truth_of_the_one_before(computed: list[int]) -> None:
    """One of other contents has another."""
    assert examine(make_case(relation="repeat"))[0].finding is None
    assert computed == [2]
    assert examine(make_case(relation="scaled-input"))[0].finding is None
    assert computed == [2, 2, 2]


def test_a_truth_in_parts_is_not_taken_for_a_whole_one(
    computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next equal call has all of its parts computed again, also where the first ended at a fault."""
    monkeypatch.setattr(truth_module, "ELEMENTS_AT_ONCE", 2 * AN_ITEM)
    assert examine(make_case(batch=3, relation="repeat"))[0].finding is None
    assert computed == [2, 1, 2, 1]


def test_an_answer_far_from_the_vendors_is_not_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where truth and kernel agree and cuDNN does not, one of three is wrong, and a person must look."""
    monkeypatch.setattr(
        truth_module, "vendor_answer", lambda _, tensors: torch.zeros(len(tensors["x"]), AN_ITEM)
    )
    seen, _ = examine(make_case())
    assert seen.finding is not None
    assert seen.finding.law == "second-opinion"
