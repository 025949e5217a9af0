"""The ways in which users call a model: the answer is the same in all of them."""

import enum


class Way(enum.StrEnum):
    """How a model is called; the values say it in a sentence on what was seen."""

    PLAINLY = "plainly"
    EVAL = "in eval mode"
    GRADIENTS = "with gradients on"
    INFERENCE = "in inference mode"
    AUTOCAST = "under autocast"
    STREAM = "on another stream"
    THREAD = "in another thread"
    COPY = "of a deep copy"
    WITHIN = "within another module"
    HOOKED = "with a hook registered"
    MOVED = "after it was moved to the CPU and back"
    STATE_DICT = "after load_state_dict"
    CLASSES = "with num_classes=10"
    IN_PLACE = "after its parameters changed in place"
    REPLACED = "after its parameters were replaced"
    MANY = "a thousand times"
