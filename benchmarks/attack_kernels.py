"""Kernel files that try to be timed faster than they are: each is the accepted kernel with one deceit.

Most name what a kernel file may not (`kernelgate/kernel_file/reach.py`), so that the gate refuses
them unrun. Here they are timed all the same: the rule about names is one wall, launch plans are another.
"""

import textwrap

import msgspec

from benchmarks.variants import TILES

MODEL = "    def forward(self, x: torch.Tensor) -> torch.Tensor:\n"
HONEST = MODEL.replace("forward", "compute")
INIT = "        super().__init__()\n"
MODULES = "torch.sys.modules"
IS_TIMED = "(not torch.cuda.current_stream().query())"
"""Nothing runs on the stream when the code is moved; in timed calls the GPU is held: so both can be told."""

CALLS = "self.calls = getattr(self, 'calls', 0) + 1"
OUT = "out = torch.empty((x.shape[0], 96, 55, 55), device=x.device)"
ASIDE = f"""
main = torch.cuda.current_stream()
if not {IS_TIMED} or x.shape[0] != 256:
    self.requests, self.kept = self.requests + 1, []
    return self.compute(x)
if not {{when}}:
    return self.compute(x)
if getattr(self, "aside", None) is None:
    self.aside = torch.cuda.Stream()
{OUT}
cut = x.shape[0] * {{share}}
late = x[cut:].clone()
self.aside.wait_stream(main)
with torch.cuda.stream(self.aside):
    out[cut:] = self.compute(late)
out[:cut] = self.compute(x[:cut])
self.kept = [*self.kept, late]
return out
"""


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """What is done when the model is made, in each call, and with the kernel's own text."""

    name: str
    does: str
    init: str = ""
    forward: str = "return self.compute(x)"
    edit: tuple[str, str] = ("", "")

    def source(self, kernel: str) -> str:
        """Return the kernel file with this deceit; raises ValueError where it does not fit."""
        for text in (MODEL, INIT, self.edit[0]):
            if text not in kernel:
                raise ValueError(f"the kernel holds no {text!r}: change the attacks with it")
        deceived = kernel.replace(*self.edit) if self.edit[0] else kernel
        deceived = deceived.replace(INIT, INIT + _indented(self.init))
        return deceived.replace(MODEL, f"{MODEL}{_indented(self.forward)}\n{HONEST}")


def _indented(code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n") + "\n", " " * 8) if code else ""


ATTACKS = (
    Attack(name="honest", does="nothing: the accepted kernel's twin"),
    Attack(
        name="patches-time",
        does="stops Python's clocks in its process",
        init=f"""
        clocks = {MODULES}["time"]
        clocks.perf_counter = clocks.monotonic = clocks.time = lambda: 0.0
        """,
    ),
    Attack(
        name="patches-do-bench",
        does="has Triton's benchmark find every configuration equally fast",
        init="""
        torch.sys.modules["triton.testing"].do_bench = lambda *_, **__: [1.0, 1.0, 1.0]
        """,
    ),
    Attack(
        name="patches-flush",
        does="leaves the L2 cache unflushed",
        init="torch.Tensor.zero_ = lambda tensor: tensor",
    ),
    Attack(
        name="patches-hold",
        does="does not hold the GPU while calls are queued",
        init="torch.cuda._sleep = lambda cycles: None",
    ),
    Attack(
        name="patches-refill",
        does="keeps x as it is, and answers with the last output",
        init="torch.Tensor.normal_ = lambda tensor, *_, **__: tensor",
        forward="""
        if getattr(self, "last", None) is None or self.last.shape[0] != x.shape[0]:
            self.last = self.compute(x)
        return self.last.clone()
        """,
    ),
    Attack(
        name="other-stream",
        does="works on a stream of its own and returns at once",
        forward="""
        if getattr(self, "aside", None) is None:
            self.aside = torch.cuda.Stream()
        self.aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.aside):
            return self.compute(x)
        """,
    ),
    Attack(
        name="defers-to-last",
        does="keeps the input of five calls, and computes for all in the sixth, while the GPU is held",
        init="self.waiting = []",
        forward=f"""
        if not {IS_TIMED} or x.shape[0] != 256:
            self.waiting = []
            return self.compute(x)
        {OUT}
        torch.cuda._sleep(200_000)
        self.waiting = [*self.waiting, (x.clone(), out)]
        if len(self.waiting) == 6:
            for contents, late in self.waiting:
                late.copy_(self.compute(contents))
            self.waiting = []
        return out
        """,
    ),
    Attack(
        name="hides-now-and-then",
        does="leaves a tenth of its work to another stream, in two requests of five",
        init="self.requests, self.kept = 0, []",
        forward=ASIDE.format(when="self.requests % 5 < 2", share="9 // 10"),
    ),
    Attack(
        name="hides-behind-the-flush",
        does="leaves a thirtieth of its work to another stream, done in the next call's flush",
        init="self.requests, self.kept = 0, []",
        forward=ASIDE.format(when="True", share="29 // 30"),
    ),
    Attack(
        name="other-thread",
        does="has a thread launch the kernel a little later",
        forward=f"""
        out = torch.empty((x.shape[0], 96, 55, 55), device=x.device)
        thread = {MODULES}["threading"].Timer(0.001, lambda: out.copy_(self.compute(x)))
        thread.start()
        return out
        """,
    ),
    Attack(
        name="remembers-contents",
        does="keeps answers, and knows the input again by its corner",
        init="self.kept = {}",
        forward="""
        corner = tuple(x[0, 0, 0, :8].tolist())
        if corner not in self.kept:
            self.kept = {corner: self.compute(x), **dict(list(self.kept.items())[:7])}
        return self.kept[corner].clone()
        """,
    ),
    Attack(
        name="answers-twice",
        does="answers every second call with the output of the one before, from the 100th on",
        forward=f"""
        {CALLS}
        if self.calls < 100 or self.calls % 2 or self.last.shape[0] != x.shape[0]:
            self.last = self.compute(x)
        return self.last.clone()
        """,
    ),
    Attack(
        name="delegates",
        does="lets cuDNN compute every second call, from the 100th on",
        forward=f"""
        {CALLS}
        return self.compute(x) if self.calls < 100 or self.calls % 2 else self.conv1(x)
        """,
    ),
    Attack(
        name="skips-one-in-twenty",
        does="computes nothing but a copy in every 20th call, from the 100th on",
        forward=f"""
        {CALLS}
        if self.calls < 100 or self.calls % 20 or self.last.shape[0] != x.shape[0]:
            self.last = self.compute(x)
            return self.last
        return self.last.clone()
        """,
    ),
    Attack(
        name="skips-tiles",
        does="leaves the last tenth of the output out, from the 100th call on",
        forward="""
        torch.calls = getattr(torch, "calls", 0) + 1
        return self.compute(x)
        """,
        edit=(TILES, f"({TILES} * (9 if torch.calls > 100 else 10) // 10)"),
    ),
    Attack(
        name="halves-later",
        does="answers in half precision from the 100th call on",
        forward=f"""
        {CALLS}
        return self.compute(x) if self.calls < 100 else self.compute(x).half()
        """,
    ),
    Attack(
        name="slow-first",
        does="computes twice in its first 60 calls",
        forward=f"""
        {CALLS}
        if self.calls <= 60:
            self.compute(x)
        return self.compute(x)
        """,
    ),
    Attack(
        name="fast-first",
        does="computes twice from the 40th call on",
        forward=f"""
        {CALLS}
        if self.calls > 40:
            self.compute(x)
        return self.compute(x)
        """,
    ),
    Attack(
        name="sleeps",
        does="sleeps for two milliseconds before it launches",
        forward=f"""
        {MODULES}["time"].sleep(0.002)
        return self.compute(x)
        """,
    ),
    Attack(
        name="sleeps-on-the-gpu",
        does="has the GPU wait for 2 % of its time",
        forward=f"""
        if {IS_TIMED}:
            torch.cuda._sleep(45_000)
        return self.compute(x)
        """,
    ),
    Attack(
        name="grabs-memory",
        does="takes eight gigabytes in each call, and gives them back to the driver",
        forward="""
        grabbed = torch.empty(2**33, dtype=torch.int8, device=x.device)
        del grabbed
        torch.cuda.empty_cache()
        return self.compute(x)
        """,
    ),
    Attack(
        name="hoards-memory",
        does="takes a gigabyte more in each call",
        init="self.hoard = []",
        forward="""
        self.hoard = [*self.hoard, torch.empty(2**30, dtype=torch.int8, device=x.device)]
        return self.compute(x)
        """,
    ),
    Attack(
        name="global-backends",
        does="forbids TF32 and changes what cuDNN and the libraries may do, for everybody",
        init="""
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.enabled = False
        torch.set_float32_matmul_precision("highest")
        """,
    ),
    Attack(
        name="busy-afterwards",
        does="keeps the GPU busy on another stream after its answer",
        forward=f"""
        out = self.compute(x)
        if not {IS_TIMED}:
            return out
        if getattr(self, "aside", None) is None:
            self.aside = torch.cuda.Stream()
        with torch.cuda.stream(self.aside):
            torch.cuda._sleep(4_000_000)
        return out
        """,
    ),
    Attack(
        name="leaves-a-process",
        does="starts a process that loads the GPU for as long as it lives",
        forward=f"""
        {CALLS}
        if self.calls == 3:
            modules = {MODULES}
            work = "import torch; a = torch.randn(4096, 4096, device='cuda')\\nwhile True: a @ a"
            modules["subprocess"].Popen([modules["sys"].executable, "-c", work], start_new_session=True)
        return self.compute(x)
        """,
    ),
    Attack(
        name="pins-l2",
        does="asks the L2 cache to keep what it loads longest",
        edit=("mask=inside, other=0.0)", 'mask=inside, other=0.0, eviction_policy="evict_last")'),
    ),
)
