"""What to do after a verdict, with commands that can be pasted."""

import re
import shlex
from pathlib import PurePath

from kernelgate.next_steps import PROPOSED

OF_THE_CANDIDATE = ("kernelgate judge FILE", "python -m py_compile FILE", "chmod u+r FILE")
"""What begins so speaks of the file that was judged; FILE of other commands is named by the detail."""


def fill_in(next_step: str, candidate: str, options: str, case: str, folder: str) -> str:
    """Return the next step with this judgement's file, options, case and reports, as a shell takes them.

    Commands that speak of other files, or of a case where there is none, stay as they are; so do those that
    a name with a backtick would end.
    """

    def fill(found: re.Match[str]) -> str:
        command = found[0][1:-1]
        if PROPOSED in command and "`" not in folder:
            return found[0].replace(PROPOSED, f"{shlex.quote(folder)}/{PurePath(PROPOSED).name}")
        if not command.startswith(OF_THE_CANDIDATE) or ("CASE" in command and not case):
            return found[0]
        filled = re.sub(r"\bFILE\b", lambda _: shlex.quote(candidate), command)
        filled = re.sub(r"\bCASE\b", lambda _: shlex.quote(case), filled)
        if command.startswith("kernelgate") and options:
            asked = re.sub(r" *--stage \S+", "", options) if "--stage" in command else options
            filled = f"{filled} {asked.strip()}".rstrip()
        return found[0] if "`" in filled else f"`{filled}`"

    return re.sub(r"`[^`]*`", fill, next_step)
