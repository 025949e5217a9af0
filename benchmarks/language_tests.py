"""Holds the interpreter against Triton's own tests: `python -m benchmarks.language_tests CHECKOUT [FILE...]`.

CHECKOUT is one of Triton's repository, near the installed version. Its tests of the language are run as they
are, on what looks like a GPU, with each launch interpreted: what they assert says whether answers are right.
`--judge-by triton` has Triton's own interpreter run them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.language_plugin import OUTCOMES, Judged

ROOT = Path(__file__).resolve().parents[1]
TESTS = Path("python", "test", "unit", "language")
OF_THE_COMPILER = frozenset(
    f"test_{name}"
    for name in ("compile_errors", "compile_only", "frontend", "line_info", "reproducer", "subprocess")
)
"""They look at texts and files, at no answer."""

STDERR = 2
SHOWN = ("wrong", "too-slow", "not-interpreted", "with-findings")


def run_tests(options: argparse.Namespace, folder: Path) -> list[Judged]:
    """Return what came of each test, from a run of pytest in an empty folder."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    files = sorted((options.checkout.resolve() / TESTS).glob("test_*.py"))
    known, judged = {each.stem for each in files}, folder / "judged.json"
    command = [
        *(sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "benchmarks.language_plugin"),
        *("-c", str(folder / "pytest.ini"), "--rootdir", str(options.checkout), "-n", str(options.workers)),
        *("--device", "cpu" if options.judge_by == "triton" else "cuda", "--judge-by", options.judge_by),
        *("--capability", str(options.capability), "--one-of", str(options.one_of), "--judged", str(judged)),
        *(str(each) for each in files if each.stem in (options.files or known - OF_THE_COMPILER)),
    ]
    alone = {"CUDA_VISIBLE_DEVICES": "", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment = os.environ | alone | {"TRITON_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, stdout=STDERR, check=False)
    return msgspec.json.decode(judged.read_bytes(), type=list[Judged])


def table(tests: Sequence[Judged]) -> Iterator[str]:
    """Yield the lines of a Markdown table: of each file how many tests there are, and what came of them."""
    yield f"| file | tests | {' | '.join(OUTCOMES)} |"
    yield f"|{'---|' * (2 + len(OUTCOMES))}"
    of_file: dict[str, Counter[str]] = {}
    for each in tests:
        of_file.setdefault(Path(each.test.partition("::")[0]).stem, Counter())[each.outcome] += 1
    of_file["all"] = Counter(each.outcome for each in tests)
    for file, counts in of_file.items():
        yield f"| {file} | {counts.total()} | {' | '.join(str(counts[each]) for each in OUTCOMES)} |"


def reasons(tests: Sequence[Judged]) -> Iterator[str]:
    """Yield why tests were not simply right: each reason once, its tests counted, one of them named."""
    told: dict[tuple[str, str, str], list[str]] = {}
    for each in tests:
        if each.outcome in SHOWN:
            name = each.test.rpartition("::")[2]
            why = each.why.partition(" (TTIR line")[0]
            told.setdefault((each.outcome, name.partition("[")[0], why), []).append(name)
    for (outcome, _, why), names in sorted(told.items()):
        yield f"{outcome}, {len(names)}: {names[0]}: {why}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and the reasons; returns 1 if a test is wrong, or none was judged."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language_tests", description=__doc__)
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="such as test_core; default: all that look at answers"
    )
    parser.add_argument("--judge-by", choices=("kernelgate", "triton"), default="kernelgate")
    parser.add_argument("--capability", type=int, choices=(89, 90), default=89, help="which GPU to look like")
    parser.add_argument("--one-of", type=int, default=1, metavar="N", help="take one case in N of each test")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        tests = run_tests(options, Path(folder))
    print("\n".join([*table(tests), "", *reasons(tests)]))
    outcomes = {each.outcome for each in tests}
    return int("wrong" in outcomes or "right" not in outcomes)


if __name__ == "__main__":
    sys.exit(main())
