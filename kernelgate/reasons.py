"""Every reason code of the gate's answers, one meaning each; `docs/verdicts.md` is made from this list."""

from kernelgate import next_steps as to
from kernelgate.outcome import Outcome, ReasonCode

_KEEP, _SAME_CODE, _NO_REGRESSION, _REVERT, _REGRESSED, _WRONG, _FORBIDDEN, *_OTHERS = Outcome
_UNSTABLE, _INVALID, _NO_BASELINE, _NOT_MEASURED = _OTHERS


class Reason(ReasonCode):
    """Why the gate answers as it does: the outcome that the code belongs to, its meaning, and what to do.

    Without a next step of its own a reason has its outcome's.
    """

    # fmt: off
    PROVEN_GAIN = "proven-gain", _KEEP, "The whole interval of the gain reaches the gain asked for."
    GAIN_IN_EVERY_REPLICATE = ("gain-in-every-replicate", _KEEP,
        "The interval and each replicate show a gain over noise.")

    SAME_CODE = ("same-code", _SAME_CODE,
        "Machine code, launches and source are the accepted kernel's, but for names.")

    GAIN_UNDER_GUARD = "gain-under-guard", _NO_REGRESSION, "A gain is proven where none was asked for."
    WITHIN_MARGIN = "within-margin", _NO_REGRESSION, "A loss over noise is ruled out."

    GAIN_TOO_SMALL = "gain-too-small", _REVERT, "The interval ends below the gain asked for."
    GAIN_NOT_PROVEN = ("gain-not-proven", _REVERT,
        "A loss over noise is ruled out, the gain asked for is not proven.")

    PROVEN_SLOWER = "proven-slower", _REGRESSED, "A loss over noise is proven."
    CREEP = ("creep", _REGRESSED,
        "Against the original the candidate has lost more than noise since the best record.",
        "Revert the candidate; `kernelgate history` shows where the speed went.")

    FORM = "form", _WRONG, "The answer is no tensor of the right shape, type, place or layout.", to.REPLAY
    MEMORY = "memory", _WRONG, "A launch touches memory outside its tensors, or its programs race.", to.REPLAY
    INPUTS_INTACT = "inputs-intact", _WRONG, "The call changes an input or a parameter.", to.REPLAY
    EARLIER_ANSWERS = "earlier-answers", _WRONG, "A call works in the answer of an earlier one.", to.MEND
    ALL_WRITTEN = "all-written", _WRONG, "Elements of the answer are never written.", to.REPLAY
    SPECIAL_VALUES = "special-values", _WRONG, "NaN or infinities are not where float64 has them.", to.REPLAY
    EXACT = "exact", _WRONG, "A sum that is exact in the declared math is off.", to.REPLAY
    HARD_BOUND = "hard-bound", _WRONG, "An element is beyond the declared math's worst case.", to.REPLAY
    ERROR_RATIO = "error-ratio", _WRONG, "The rms error is too many times the declared math's own.", to.REPLAY
    SECOND_OPINION = "second-opinion", _WRONG, "An element is too far from the vendor's.", to.REPLAY
    REPEAT = "repeat", _WRONG, "The same call gives other bits.", to.REPLAY
    SCALED_INPUT = "scaled-input", _WRONG, "Inputs times a power of two do not scale the answer.", to.REPLAY
    SCALED_WEIGHT = "scaled-weight", _WRONG, "Weights times a power of two do not scale it.", to.REPLAY
    SHUFFLED_BATCH = ("shuffled-batch", _WRONG,
        "Items of the batch in another order do not give the answers in that order.", to.REPLAY)
    SLICED_BATCH = ("sliced-batch", _WRONG,
        "A slice of the batch does not give that slice of the answer.", to.REPLAY)
    INFINITE_ITEM = ("infinite-item", _WRONG,
        "One infinite item of the batch changes the answers to the others.", to.REPLAY)
    SHUFFLED_FEATURES = ("shuffled-features", _WRONG,
        "Output channels, columns or rows in another order do not give the answers in that order.", to.REPLAY)
    NEW_CONTENTS = ("new-contents", _WRONG,
        "New contents in the same storage do not give their own answer.", to.REPLAY)
    TWO_MODELS = "two-models", _WRONG, "Two models at once mix their answers.", to.REPLAY
    WAYS = "ways", _WRONG, "Called in another way, as in eval mode, the answer is off.", to.REPLAY
    NO_BIAS = "no-bias", _WRONG, "The answer without a parameter that may be absent is off.", to.REPLAY
    AUTOTUNED = "autotuned", _WRONG, "The answer is off as the autotuner leaves the kernel.", to.REPLAY
    LAYOUT = "layout", _WRONG, "The answer is off for an input of other strides.", to.REPLAY
    CALLS_DIFFER = ("calls-differ", _WRONG,
        "Called otherwise, again, or after an input has changed, it does other things.", to.MAKE_ANEW)
    STREAM_ORDER = "stream-order", _WRONG, "What works on another stream is not waited for.", to.MEND_FILE
    DOMAIN = "domain", _WRONG, "The answer is off at the largest batch.", to.REPLAY
    DECLARED_MATH = ("declared-math", _WRONG,
        "The machine code computes in less than the declared precision.",
        "Compute in the declared precision: the detail names the instructions.")
    TIMED_ANSWER = ("timed-answer", _WRONG, "A call that was timed did not give the right answer.",
        "Look in the kernel for what may differ from call to call: races, and memory that it does not write.")
    RAISES = "raises", _WRONG, "The kernel file raises an error.", to.MEND
    EXITS = "exits", _WRONG, "The kernel file ends its process.", to.MEND
    CRASHES = "crashes", _WRONG, "A signal ends the kernel file's process.", to.MEND
    PROTOCOL = "protocol", _WRONG, "The kernel file's process answers something that is no answer.", to.MEND
    OUT_OF_MEMORY = ("out-of-memory", _WRONG,
        "The kernel file's process needs more memory than is allowed.", to.MEND)
    NO_ANSWER = "no-answer", _WRONG, "The kernel file's process gives no answer in its time.", to.MEND
    UNTRIED = "untried", _WRONG, "The kernel file's process says that it cannot be tried here.", to.MEND

    PRINTS = "prints", _FORBIDDEN, "The kernel file prints more than is allowed.", "Print nothing."
    DELEGATION = ("delegation", _FORBIDDEN,
        "Something else than the launches of this call computes the answer.",
        "Compute the answer in the file's own Triton kernels.")
    BOTH_SIDES = ("both-sides", _FORBIDDEN,
        "The kernel decides something by loaded values, and in no case did it go the other way.",
        "Remove the decision at the line that the detail names, or report an honest kernel that needs it.")
    COMPUTES_OUTSIDE = ("computes-outside", _FORBIDDEN,
        "PyTorch computes with values of the GPU's memory, where launches of a kernel must.", to.MEND_FILE)
    READS_VALUES = "reads-values", _FORBIDDEN, "The host reads values of the GPU's memory.", to.MEND_FILE
    UNKNOWN_PARAMETER = ("unknown-parameter", _FORBIDDEN,
        "A launch works on a parameter of the model that the operation does not have.", to.MEND_FILE)
    OTHER_PARAMETERS = ("other-parameters", _FORBIDDEN,
        "ModelNew has no parameter, or several, where the operation has one.",
        "Give ModelNew the parameters that the detail lists: by their names, or one of each shape.")
    UNKNOWN_MEMORY = ("unknown-memory", _FORBIDDEN,
        "A launch or the answer lies in memory that the call did not ask PyTorch for.", to.MEND_FILE)
    TOO_MANY_LAUNCHES = ("too-many-launches", _FORBIDDEN,
        "One call makes more launches and moves of data than a launch plan may hold.", to.MEND_FILE)
    UNPLANNABLE = "unplannable", _FORBIDDEN, "A launch has an argument that no plan can hold.", to.MEND_FILE
    TOO_MANY_CONFIGS = ("too-many-configs", _FORBIDDEN,
        "The autotuner lists more configurations than the gate compiles.", "List fewer configurations.")
    FORMAT_FILE_MISSING = "format-file-missing", _FORBIDDEN, "There is no such file.", to.OTHER_PATH
    FORMAT_NOT_A_FILE = "format-not-a-file", _FORBIDDEN, "The path is no regular file.", to.OTHER_PATH
    FORMAT_FILE_UNREADABLE = ("format-file-unreadable", _FORBIDDEN, "The file cannot be read.",
        "Make the file readable: `chmod u+r FILE`.")
    FORMAT_FILE_TOO_LARGE = ("format-file-too-large", _FORBIDDEN, "The file is larger than is allowed.",
        "Make the file smaller.")
    FORMAT_FILE_EMPTY = "format-file-empty", _FORBIDDEN, "The file holds white space alone.", to.OTHER_PATH
    FORMAT_NUL_BYTE = "format-nul-byte", _FORBIDDEN, "The file holds a NUL byte.", "Save the file as text."
    FORMAT_NOT_UTF_8 = ("format-not-utf-8", _FORBIDDEN,
        "The file is not UTF-8, or begins with a byte order mark.",
        "Save the file as UTF-8 without a byte order mark.")
    FORMAT_NOT_PYTHON = ("format-not-python", _FORBIDDEN, "The file is no Python that parses.",
        "Mend the syntax: `python -m py_compile FILE` shows it.")
    FORMAT_IMPORT_NOT_ALLOWED = ("format-import-not-allowed", _FORBIDDEN,
        "The file imports something else than the four imports allowed.", to.STRICT_FORM)
    FORMAT_IMPORT_NOT_AT_TOP = ("format-import-not-at-top", _FORBIDDEN,
        "An import does not stand at the top.", to.STRICT_FORM)
    FORMAT_ORDER = ("format-order", _FORBIDDEN, "Imports, kernels, wrappers and class are not in this order.",
        to.STRICT_FORM)
    FORMAT_STATEMENT_NOT_ALLOWED = ("format-statement-not-allowed", _FORBIDDEN,
        "A statement is none that a kernel file may have.", to.STRICT_FORM)
    FORMAT_MAIN_GUARD = ("format-main-guard", _FORBIDDEN,
        "The file has a part that runs as a script.", to.STRICT_FORM)
    FORMAT_CLASS_NOT_ALLOWED = ("format-class-not-allowed", _FORBIDDEN,
        "There is another class than ModelNew.", to.STRICT_FORM)
    FORMAT_TEST_INPUTS = "format-test-inputs", _FORBIDDEN, "The file makes inputs for a test.", to.STRICT_FORM
    FORMAT_NAME_REBOUND = "format-name-rebound", _FORBIDDEN, "A module's name is bound twice.", to.STRICT_FORM
    FORMAT_TESTING_CODE = "format-testing-code", _FORBIDDEN, "The file holds a test.", to.STRICT_FORM
    FORMAT_DECORATOR_NOT_ALLOWED = ("format-decorator-not-allowed", _FORBIDDEN,
        "A decorator is none that a kernel file may have.", to.STRICT_FORM)
    FORMAT_KERNEL_MISSING = ("format-kernel-missing", _FORBIDDEN, "The file has no @triton.jit kernel.",
        "Add the kernel.")
    FORMAT_WRAPPER_MISSING = ("format-wrapper-missing", _FORBIDDEN, "The file has no wrapper function.",
        "Add a function that launches the kernel.")
    FORMAT_MODEL_MISSING = ("format-model-missing", _FORBIDDEN, "The file has no class ModelNew.",
        "Add `class ModelNew(nn.Module)` at the end.")
    FORMAT_MODEL_BASE = ("format-model-base", _FORBIDDEN, "ModelNew has other bases than nn.Module.",
        "Write `class ModelNew(nn.Module)`, or judge by stage open.")
    FORMAT_MODEL_INIT = ("format-model-init", _FORBIDDEN, "ModelNew cannot be made without arguments.",
        "Give each argument of `__init__` a default.")
    FORMAT_MODEL_FORWARD = ("format-model-forward", _FORBIDDEN,
        "ModelNew.forward does not take exactly one argument.", "Write `def forward(self, x)`.")
    FORMAT_MODEL_LAYER = ("format-model-layer", _FORBIDDEN,
        "ModelNew does not assign the layer that has the parameters.",
        "Assign the layer that is named in `__init__`, or judge by stage open.")
    FORMAT_REACHES_OUT = ("format-reaches-out", _FORBIDDEN,
        "The file reaches out of its libraries, or changes what is not its own.",
        "Mend the lines that the detail names; in stage open they are advice on a machine with a GPU.")
    FORMAT_LOOKS_AROUND = ("format-looks-around", _FORBIDDEN,
        "The file looks at its process or at who calls it, and could do so to see that it is judged.",
        "Take the line out, or put it under `if __name__ == \"__main__\":`.")
    NOTHING_RUNS_OPEN = ("open-nothing-runs", _FORBIDDEN, "In stage open: no configuration can run.",
        "Add a configuration that fits the GPU: the detail says what each lacks.")
    NOTHING_RUNS_TUNING = ("final-micro-tuning-nothing-runs", _FORBIDDEN,
        "In stage final-micro-tuning: no configuration can run.",
        "Add a configuration that fits the GPU: the detail says what each lacks.")
    TUNING_CONFIG_COUNT = ("final-micro-tuning-config-count", _FORBIDDEN,
        "The list has too few or too many configurations.", to.OPEN_STAGE)
    TUNING_ORIGINAL_MISSING = ("final-micro-tuning-original-missing", _FORBIDDEN,
        "The original configuration is not in the list.",
        "Add the original configuration, which the detail names.")
    TUNING_BLOCKS_CHANGED = ("final-micro-tuning-blocks-changed", _FORBIDDEN,
        "A configuration has other block sizes than the original.", to.OPEN_STAGE)
    TUNING_CONFIG_CANNOT_RUN = ("final-micro-tuning-config-cannot-run", _FORBIDDEN,
        "A configuration cannot run.", "Remove the configuration that the detail names.")
    TUNING_OPTION_CHANGED = ("final-micro-tuning-option-changed", _FORBIDDEN,
        "A configuration changes more than warps and stages.", to.OPEN_STAGE)
    TUNING_ACCEPTED_WITHOUT_BLOCKS = ("final-micro-tuning-accepted-without-blocks", _FORBIDDEN,
        "The accepted kernel runs no configuration of these block sizes to compare with.", to.OPEN_STAGE)
    TUNING_GRID_CHANGED = ("final-micro-tuning-grid-changed", _FORBIDDEN,
        "A configuration launches another grid, or programs that store more or less.", to.OPEN_STAGE)
    TUNING_WARPS_NOT_ALLOWED = ("final-micro-tuning-warps-not-allowed", _FORBIDDEN,
        "A configuration has a number of warps that the stage does not allow.", to.OPEN_STAGE)
    TUNING_WARPS_WITHOUT_OCCUPANCY = ("final-micro-tuning-warps-without-occupancy", _FORBIDDEN,
        "A configuration has other warps, and neither more warps an SM nor fewer spills.", to.OPEN_STAGE)
    TUNING_STAGES_NOT_ALLOWED = ("final-micro-tuning-stages-not-allowed", _FORBIDDEN,
        "A configuration has a number of pipeline stages that the stage does not allow.", to.OPEN_STAGE)
    TUNING_STAGES_JUMPED = ("final-micro-tuning-stages-jumped", _FORBIDDEN,
        "A configuration changes the pipeline stages by more than one.", to.OPEN_STAGE)

    CONTROL_OFFSET = "control-offset", _UNSTABLE, "The accepted kernel differs from itself.", to.DOCTOR
    REPLICATES_APART = "replicates-apart", _UNSTABLE, "The replicates lie too far apart.", to.DOCTOR
    INTERVAL_TOO_WIDE = "interval-too-wide", _UNSTABLE, "The last look's interval is too wide.", to.DOCTOR
    TWO_CLUSTERS = "two-clusters", _UNSTABLE, "The processes are of two speeds.", to.DOCTOR
    CHOICES_APART = ("choices-apart", _UNSTABLE,
        "The autotuner chooses in several ways, and their speeds differ.",
        "Remove the slower of the configurations that the detail names.")
    CLOCKS_APART = ("clocks-apart", _UNSTABLE,
        "The GPU's clock differs between candidate and accepted kernel.", to.DOCTOR)
    UNDECIDED = ("undecided", _UNSTABLE,
        "After the last look the interval lies across the lines that decide.",
        "Revert, or change more: no further run tells on which side of the line the gain lies.")

    INCOMPLETE = ("incomplete", _INVALID, "Not every stage before the timing has run.",
        "Run every stage: `kernelgate judge FILE`.")
    NOT_JUDGED = ("not-judged", _INVALID, "What is asked for cannot be judged of this file.",
        "Ask again as the detail says; `kernelgate judge --help` lists the options.")
    GATE_ERROR = ("gate-error", _INVALID, "A stage ended in an error of the gate itself.",
        "Report the traceback above as a bug of the gate.")
    GATE_FAULT = ("gate-fault", _INVALID, "The gate cannot make a case's inputs, or lacks a library.",
        "Install what the detail names (`make setup`), or report it as a bug of the gate.")
    NOTHING_TRIED = ("nothing-tried", _INVALID, "No case could be tried on this machine.",
        "Run on a machine that has what the detail names.")
    NOT_INTERPRETED = ("not-interpreted", _INVALID, "The interpreter lacks what the kernel needs.",
        "Run on a machine with an NVIDIA GPU, or leave out the operation that the detail names.")
    REPLAY_ONLY = ("replay-only", _INVALID, "The replayed case holds; one case is no verdict.",
        "Run without `--replay`: `kernelgate judge FILE`.")
    PROBLEM_FORM = "problem-form", _INVALID, "The problem file lacks one of its three parts.", to.MEND_PROBLEM
    PROBLEM_RAISES = "problem-raises", _INVALID, "The problem file raises an error, or ends.", to.MEND_PROBLEM
    PROBLEM_NO_ANSWER = "problem-no-answer", _INVALID, "The problem file takes too long.", to.LARGE_PROBLEM
    PROBLEM_MEMORY = "problem-memory", _INVALID, "The problem's truth is too large.", to.LARGE_PROBLEM
    PROBLEM_NOT_A_FUNCTION = ("problem-not-a-function", _INVALID,
        "The reference is random or has state: alike calls answer otherwise.", to.MEND_PROBLEM)
    PROBLEM_TENSORS = "problem-tensors", _INVALID, "An input or output is no single tensor.", to.MEND_PROBLEM
    PROBLEM_TYPE = "problem-type", _INVALID, "A tensor of the problem is not float32.", to.MEND_PROBLEM
    PROBLEM_SHAPES = "problem-shapes", _INVALID, "Shapes change, or have no elements.", to.MEND_PROBLEM
    PROBLEM_VALUES = "problem-values", _INVALID, "PyTorch's float32 is far from the truth.", to.MEND_PROBLEM
    NO_CONTROL = ("no-control", _INVALID, "The accepted kernel was not timed against itself.",
        "Report it as a bug of the gate.")
    NOT_A_NUMBER = ("not-a-number", _INVALID, "A figure or a setting is not a finite number.",
        "Check `[tool.kernelgate.performance]` in pyproject.toml, if it is there, and run again.")
    THROTTLED = ("throttled", _INVALID, "The GPU slowed itself down.",
        "Cool the GPU or raise its power limit, check with `kernelgate doctor`, and run again.")
    FASTER_THAN_PHYSICS = ("faster-than-physics", _INVALID,
        "A call took less time than the GPU's peaks allow.",
        "Look in the candidate for work that is not done while it is timed.")
    TIMER_DISAGREES = ("timer-disagrees", _INVALID, "The GPU's events and the judge's clock do not add up.",
        to.DOCTOR)
    ENVIRONMENT_CHANGED = ("environment-changed", _INVALID,
        "The accepted kernel's speed has moved away from its record.",
        f"Restore the versions that the detail names, or accept the proposed record: {to.ACCEPT}")
    TIMER = "timer", _INVALID, "A process sent times that cannot be.", to.DOCTOR
    CROWDED = "crowded", _INVALID, "Other programs hold the GPU memory that a process needs.", to.QUIET
    ARM_RAISES = "arm-raises", _INVALID, "Another kernel than the candidate raises an error.", to.OTHER_ARM
    ARM_EXITS = "arm-exits", _INVALID, "Another kernel than the candidate ends its process.", to.OTHER_ARM
    STARVED = "starved", _INVALID, "The machine is so loaded that a process hardly runs.", to.QUIET
    ARM_CRASHES = "arm-crashes", _INVALID, "A signal ends the process of another kernel.", to.OTHER_ARM
    ARM_PROTOCOL = ("arm-protocol", _INVALID,
        "The process of another kernel than the candidate answers something that is no answer.", to.OTHER_ARM)
    ARM_PRINTS = ("arm-prints", _INVALID, "Another kernel than the candidate prints more than is allowed.",
        to.OTHER_ARM)
    ARM_OUT_OF_MEMORY = ("arm-out-of-memory", _INVALID,
        "The process of another kernel than the candidate needs more memory than is allowed.", to.OTHER_ARM)
    ARM_NO_ANSWER = "arm-no-answer", _INVALID, "Another kernel's process gives no answer.", to.OTHER_ARM
    NO_SANDBOX = ("no-sandbox", _INVALID,
        "The settings ask for a sandbox that this system lacks, or a process could not be confined.",
        "Use Linux 5.13 or newer on x86-64 with Landlock, in no container that refuses it.")
    PLAN_BOOK = ("plan-book", _INVALID,
        "The plan book is broken, of another kernel, GPU or version, or lacks a call.",
        "Have the book made anew by the gate that judges: update the branch, and run the job `hosted` again.")
    ARM_UNPLANNED = ("arm-unplanned", _INVALID,
        "Another kernel than the candidate does what no launch plan can hold.", to.OTHER_ARM)
    ARM_OTHER_PARAMETERS = ("arm-other-parameters", _INVALID,
        "The model of another kernel than the candidate has not the operation's parameters.", to.OTHER_ARM)
    ARM_UNTRIED = ("arm-untried", _INVALID,
        "The process of another kernel than the candidate says that it cannot be tried here.", to.OTHER_ARM)
    GPU_NOT_TO_BE_HAD = ("gpu-not-to-be-had", _INVALID,
        "The GPU is not there, does not answer, or another judge holds it.",
        "Check `nvidia-smi`, wait for the other judge, and run again.")
    GPU_MEMORY = ("gpu-memory", _INVALID,
        "The GPU has too little memory left for the judge's own reference.", to.QUIET)
    GPU_SLICED = ("gpu-sliced", _INVALID, "The GPU is cut into slices (MIG).",
        "Run on a whole GPU, or switch MIG off: `sudo nvidia-smi -mig 0`.")
    GPU_EXCLUSIVE = ("gpu-exclusive", _INVALID, "The GPU lets in one process, or none.",
        "Set the default compute mode: `sudo nvidia-smi -c DEFAULT`.")
    GPU_SHARED = "gpu-shared", _INVALID, "Other programs ran on the GPU while it was timed.", to.QUIET
    RECORD_UNREADABLE = "record-unreadable", _INVALID, "The compile record cannot be read.", to.RESTORE
    RECORD_TRUNCATED = "record-truncated", _INVALID, "The compile record is cut short.", to.RESTORE
    RECORD_OTHER_SCHEMA = ("record-other-schema", _INVALID,
        "The compile record is of another version of kernelgate.",
        "Delete the record, run `kernelgate judge kernels/OPERATION.py`, and accept the proposal.")
    RECORD_INVALID = "record-invalid", _INVALID, "The compile record breaks its schema.", to.RESTORE
    RECORD_OTHER_GPU = "record-other-gpu", _INVALID, "The compile record is of another target.", to.RESTORE
    RECORD_OTHER_OPERATION = ("record-other-operation", _INVALID,
        "The compile record is of another operation.", to.RESTORE)
    BASELINE_UNREADABLE = "baseline-unreadable", _INVALID, "The speed record cannot be read.", to.RESTORE
    BASELINE_TRUNCATED = "baseline-truncated", _INVALID, "The speed record is cut short.", to.RESTORE
    BASELINE_OTHER_SCHEMA = ("baseline-other-schema", _INVALID,
        "The speed record is of another version of kernelgate.", to.NEW_RECORD)
    BASELINE_INVALID = "baseline-invalid", _INVALID, "The speed record breaks its schema.", to.RESTORE
    BASELINE_OTHER_GPU = "baseline-other-gpu", _INVALID, "The speed record is of another GPU.", to.RESTORE
    BASELINE_OTHER_OPERATION = ("baseline-other-operation", _INVALID,
        "The speed record is of another operation.", to.RESTORE)
    BASELINE_STALE = ("baseline-stale", _INVALID,
        "The speed record is of another kernel than the accepted one.", to.NEW_RECORD)

    NO_RECORD = ("no-record", _NO_BASELINE, "The GPU has no speed record of the accepted kernel.",
        f"Check the proposal, and accept it: {to.ACCEPT}")

    NOT_MEASURED = "not-measured", _NOT_MEASURED, "The performance stage was not asked for."
    ANOTHER_GPUS_CODE = ("another-gpus-code", _NOT_MEASURED,
        "The kernels ran by an RTX 4090's code on another GPU, which decides nothing.",
        "Judge it without `--code-path` for this GPU, or on an RTX 4090.")
    # fmt: on
