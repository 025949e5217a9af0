"""What a kernel file sees around a call: the clock, its process, the environment; each call has others.

A file that asks for the hour, for a variable that users have, or for a random number, and then launches
something else, is right where it is judged and wrong where it is used.
"""

import datetime
import os
import random
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

import numpy as np
import torch
from triton import knobs

from kernelgate.execution.launch_plan import CallForm

STEP_S = 90_061
"""A day, an hour, a minute and a second: from one call to the next none of them stays."""

USERS_CORES = 16
OF_CORES = ((os, "cpu_count"), (torch, "get_num_threads"), (torch, "get_num_interop_threads"))
"""Functions that tell a machine, and a process of the gate, from those of users."""

TURNS = 1 << 16
NANOSECONDS = 10**9
CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
BROKEN_DOWN = ("localtime", "gmtime", "ctime")
HOME = "/home/user"
OF_USERS = {
    "USER": "user",
    "LOGNAME": "user",
    "HOSTNAME": "desktop",
    "SHELL": "/bin/bash",
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "DISPLAY": ":0",
    "EDITOR": "vim",
    "HISTSIZE": "1000",
    "LS_COLORS": "di=01;34",
    "MAIL": "/var/mail/user",
    "OLDPWD": "/",
    "PWD": HOME,
    "SHLVL": "1",
    "SSH_CONNECTION": "10.0.0.2 50000 10.0.0.1 22",
    "SSH_TTY": "/dev/pts/0",
    "VIRTUAL_ENV": f"{HOME}/venv",
    "XDG_RUNTIME_DIR": "/run/user/1000",
    "XDG_SESSION_ID": "1",
    "_": f"{HOME}/venv/bin/python",
}
"""Variables that processes of users have, and a worker, or a service, has not."""

OF_WORKERS = (
    *("NUMPY_MADVISE_HUGEPAGE", "OPENBLAS_NUM_THREADS", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE"),
    *("PYTHONPATH", "TMPDIR", "TRITON_CACHE_DIR"),
)
"""Variables that the gate gives its workers: what they are for is settled before a file is imported."""

KEPT_IN_C = ("CUDA_VISIBLE_DEVICES", "TRITON_DEFAULT_FP_FUSION")
"""Hidden from Python alone: no GPU is to be touched, and a call of the file finds what was compiled here."""


class Surroundings:
    """The pretended clock and process; it is `base_s` and `later_s` later than now.

    `asked` says that somebody has looked at the clock, or asked for the process or the memory in use.
    """

    def __init__(self) -> None:
        self.base_s = self.later_s = 0
        self.asked = False

    def look(self) -> int:
        """Return how much later it is, for somebody who asks."""
        self.asked = True
        return self.base_s + self.later_s

    def pretend(self) -> None:
        """Have the standard library tell of these surroundings; before a kernel file is imported."""
        for name in CLOCKS:
            setattr(time, name, self._later(getattr(time, name), 1))
            setattr(time, f"{name}_ns", self._later(getattr(time, f"{name}_ns"), NANOSECONDS))
        now = time.time
        for name in BROKEN_DOWN:
            setattr(time, name, _with_default(getattr(time, name), now))
        _hide_worker()
        pid = os.getpid()
        os.getpid = lambda: pid + self.look() % 1009
        for module, name in OF_CORES:
            # Libraries ask too, while they are imported: that is no look at the clock.
            setattr(module, name, lambda: USERS_CORES + (self.base_s + self.later_s) % 31)
        datetime.datetime = dates = self._dates()  # type: ignore[misc]
        datetime.date = _days(dates)  # type: ignore[misc]

    def more_memory_in_use(self) -> int:
        """Return by how many bytes more of the GPU's memory the user has filled."""
        return self.look() % 4093 * 2**20

    def call(self, form: CallForm, forward: Callable[[], Any]) -> Any:
        """Return what `forward` returns, called in the surroundings, and the thread, of a form."""
        with self._of_call(form):
            if form.within != "thread":
                return forward()
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(forward).result()

    @contextmanager
    def _of_call(self, form: CallForm) -> Iterator[None]:
        """Make a plain call now, and one of each other form at another time."""
        is_plain = form == CallForm(layout=form.layout, absent=form.absent)
        number = 0 if is_plain else zlib.crc32(str(form).encode()) % TURNS
        self.later_s = number * STEP_S
        before = dict(os.environ)
        if number % 2:
            for name in OF_USERS:
                os.environ.pop(name, None)
        try:
            yield
        finally:
            self.later_s = 0
            os.environ.clear()
            os.environ.update(before)

    def _later(self, clock: Callable[[], Any], units: int) -> Callable[[], Any]:
        return lambda: clock() + self.look() * units

    def _dates(self) -> type[datetime.datetime]:
        surroundings, real = self, datetime.datetime

        class Dates(real):  # type: ignore[valid-type, misc]
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
                return real.now(tz) + datetime.timedelta(seconds=surroundings.look() % (TURNS * 86_400))

            @classmethod
            def today(cls) -> datetime.datetime:
                return cls.now()

            @classmethod
            def utcnow(cls) -> datetime.datetime:
                return cls.now(datetime.UTC).replace(tzinfo=None)

        return Dates


def _days(dates: type[datetime.datetime]) -> type[datetime.date]:
    """Return a class of days of which today is that of these dates."""

    class Days(datetime.date):
        @classmethod
        def today(cls) -> Self:
            now = dates.now()
            return cls(now.year, now.month, now.day)

    return Days


def _hide_worker() -> None:
    """Have the environment be a user's from here on: also while a kernel file is imported."""
    tempfile.tempdir = tempfile.gettempdir()
    knobs.cache.dir = knobs.cache.dir
    knobs.language.default_fp_fusion = knobs.language.default_fp_fusion
    for name in OF_WORKERS:
        os.environ.pop(name, None)
    for name in KEPT_IN_C:
        os.environ._data.pop(os.environ.encodekey(name), None)  # type: ignore[attr-defined]
    os.environ.update(OF_USERS, HOME=HOME)


def _with_default(break_down: Callable[[float], Any], now: Callable[[], float]) -> Callable[..., Any]:
    return lambda seconds=None: break_down(now() if seconds is None else seconds)


def mode_of(form: CallForm) -> AbstractContextManager[Any]:
    """Return the mode of PyTorch that a form calls the model in."""
    if form.within == "inference":
        return torch.inference_mode()
    if form.within == "autocast":
        return torch.autocast("cuda")
    return torch.set_grad_enabled(form.gradients)


def drawn_so_far() -> object:
    """Return what changes when a random number is drawn on the host."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return random.getstate(), kind, bytes(np.asarray(keys)), tuple(rest)
