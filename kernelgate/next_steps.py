"""What to do after an answer of the gate, for the reasons that share a next step."""

MEND = (
    "Mend what the detail names; if the detail names a case, see it alone with "
    "`kernelgate judge FILE --replay CASE`."
)
MEND_WHAT = "Mend what the detail names, and run again."
REPLAY = "See the case alone with `kernelgate judge FILE --replay CASE`, and mend the kernel."
REPLAYED = (
    "Mend the kernel, and run the same command until the case holds; then judge the whole file: "
    "`kernelgate judge FILE`."
)
MEND_FILE = "Mend the lines that the detail names."
MAKE_ANEW = (
    "Look for what the file keeps from call to call, such as a cache, a flag or a counter. Leave it out, or "
    "make it anew whenever an input has changed."
)
OTHER_PATH = "Give the path of a kernel file: `kernelgate judge FILE`."
OPEN_STAGE = "Undo the change, or judge by stage open: `kernelgate judge FILE --stage open`."
STRICT_FORM = (
    "Mend the lines that the detail names, or judge by stage open, whose form is free: "
    "`kernelgate judge FILE --stage open`."
)
PROPOSED = "gate-report/*.proposed.json"
ACCEPT = f"`kernelgate accept {PROPOSED} --reason WHY`."
DOCTOR = "Look at the machine with `kernelgate doctor`, and run again."
OTHER_ARM = (
    "Judge the accepted kernel itself with `kernelgate judge kernels/OPERATION.py`; if it holds, run again."
)
RESTORE = "Restore the file that the detail names with `git checkout -- FILE`, and run again."
NEW_RECORD = (
    "Delete the record, time the accepted kernel with `kernelgate judge kernels/OPERATION.py`, "
    "and accept the proposal."
)
QUIET = "End the other programs on the GPU (`nvidia-smi` lists them), and run again."

MEND_PROBLEM = "Mend the problem file: docs/problem-files.md says what it may hold."
LARGE_PROBLEM = "Give the problem smaller shapes, or raise problem_memory_bytes or problem_timeout_s."
