"""What to do after an answer of the gate, for the reasons that share a next step."""

MEND = (
    "Mend what the detail names; if the detail names a case, see it alone with "
    "`pytest tests/gate --candidate FILE --replay CASE`."
)
MEND_WHAT = "Mend what the detail names, and run again."
REPLAY = "See the case alone with `pytest tests/gate --candidate FILE --replay CASE`, and mend the kernel."
MEND_FILE = "Mend the lines that the detail names."
OTHER_PATH = "Give the path of a kernel file: `pytest tests/gate --candidate FILE`."
OPEN_STAGE = "Undo the change, or judge by stage open: `pytest tests/gate --candidate FILE --stage open`."
STRICT_FORM = (
    "Mend the lines that the detail names, or judge by stage open, whose form is free: "
    "`pytest tests/gate --candidate FILE --stage open`."
)
ACCEPT = "`python -m kernelgate accept gate-report/*.proposed.json --reason WHY`."
DOCTOR = "Look at the machine with `python -m kernelgate doctor`, and run again."
OTHER_ARM = (
    "Judge the accepted kernel itself with `pytest tests/gate --candidate kernels/OPERATION.py`; "
    "if it holds, run again."
)
RESTORE = "Restore the file that the detail names with `git checkout -- FILE`, and run again."
NEW_RECORD = "Delete the record, time the accepted kernel with `pytest -m perf`, and accept the proposal."
QUIET = "End the other programs on the GPU (`nvidia-smi` lists them), and run again."

MEND_PROBLEM = "Mend the problem file: docs/problem-files.md says what it may hold."
LARGE_PROBLEM = "Give the problem smaller shapes, or raise problem_memory_bytes or problem_timeout_s."
