"""The picture of a plane, drawn smaller: what is wrong is never lost."""

from kernelgate.operations.faults.fault_map import shrink_rows


def test_one_wrong_element_shows_in_its_character() -> None:
    """Wrong before unwritten before right before what nobody looked at."""
    rows = ["....    ", "..#.  ? ", "........"]
    assert shrink_rows(rows, 1, 1) == rows
    assert shrink_rows(rows, 2, 2) == [".# ?", "...."]
    assert shrink_rows(rows, 3, 8) == ["#"]
