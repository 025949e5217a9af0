"""Faults that attack the judge: files that change, deceive or sound out the process that they run in."""

from tests.selftest.planted.base import Planted, after_call, changed, in_forward, in_init
from tests.selftest.planted.delegation_faults import WITH_HELPERS, handed_over

WRAPPER = "def triton_conv2d_nchw(\n"
FRAMES = '''def callers():
    """Return the local variables of every caller, the nearest first."""
    frame, found = torch.sys._getframe(1), []
    while frame is not None:
        found.append(frame.f_locals)
        frame = frame.f_back
    return found


'''
WITH_FRAMES = changed((WRAPPER, FRAMES + WRAPPER))
STORE = "    tl.store(out_ptr + out_offset, total, mask=valid_m & (channel_n < C_out))\n"
WRONG = changed(("total += shift[None, :]", "total += shift[None, :] * 2.0"))
"""Adds the bias twice."""

DELEGATES = "return self.conv1(x)"
KEEP_X = "self.x = x"


def replacing(function: str, code: str, source: str) -> str:
    """Return a kernel file whose model replaces a function wherever the judge's code holds it."""
    return in_init(
        f"""
        for module in [held for name, held in torch.sys.modules.items() if name.startswith("kernelgate")]:
            real = getattr(module, "{function}", None)
            if real is not None:
                module.{function} = {code}
        """,
        source=source,
    )


def storing_where(mask: str) -> str:
    """Return a kernel file that stores where the memory of its output `held` something of interest."""
    written = "mask=valid_m & (channel_n < C_out)"
    store = STORE.replace("channel_n < C_out", f"channel_n < C_out) & ({mask}")
    return changed((STORE, f"    held = tl.load(out_ptr + out_offset, {written})\n{store}"))


OWN_PROCESS = (
    Planted(
        "replaces-write-output",
        "has the layer's answer written in the place of its own",
        replacing(
            "write_output",
            "lambda _, *rest, real=real: real(self.conv1(self.x), *rest)",
            in_forward(KEEP_X, source=WRONG),
        ),
    ),
    Planted(
        "replaces-same-bits",
        "calls all tensors the same, and clears x",
        replacing("same_bits", "lambda *_: True", after_call("x.zero_()")),
    ),
    Planted(
        "replaces-torch-equal",
        "calls all tensors equal, and clears the weight",
        in_init("torch.equal = lambda *_: True", source=after_call("conv1.weight.data.zero_()")),
    ),
    Planted(
        "replaces-read-inputs",
        "convolves by torch while the inputs are read, before forward is called",
        in_init(
            """
            def convolved(given):
                self.known = torch.conv2d(*given, 4, 2)
                return given
            """,
            source=replacing(
                "read_inputs",
                "lambda *request, real=real: convolved(real(*request))",
                handed_over('answer = getattr(self, "known", torch.zeros(len(x), 96, 55, 55))'),
            ),
        ),
    ),
    Planted(
        "replaces-poisoning",
        "keeps fresh memory from being filled, and leaves the last channel unwritten",
        replacing(
            "fill_with_bits", "lambda *_: None", changed((STORE, STORE.replace("C_out)", "C_out - 1)")))
        ),
    ),
    Planted(
        "replaces-encode",
        "rewrites the counts of its report, and lets the layer answer",
        replacing(
            "encode", 'lambda *said, real=real: real(*said).replace(b":0", b":1")', in_forward(DELEGATES)
        ),
    ),
    Planted(
        "replaces-torch-empty",
        "hands out the layer's answer as fresh memory, and writes two thirds of it",
        in_forward(
            """
            def filled(*_, real=torch.empty, **__):
                torch.empty = real
                return self.conv1(x).detach()

            torch.empty = filled
            """,
            source=changed(('triton.cdiv(C_out, meta["BLOCK_N"])', "1")),
        ),
    ),
    Planted(
        "replaces-is-contiguous",
        "calls all tensors contiguous, and answers with the channels innermost",
        in_init(
            "torch.Tensor.is_contiguous = lambda *_, **__: True",
            source=after_call("out = out.contiguous(memory_format=torch.channels_last)"),
        ),
    ),
    Planted(
        "replaces-tensor-numpy",
        "exchanges its answer for the layer's when it is made a NumPy array",
        in_init(
            """
            def exchanged(tensor, real=torch.Tensor.numpy):
                is_answer = tensor.shape[1:] == (96, 55, 55) and hasattr(self, "x")
                return real(self.conv1(self.x).detach().cpu() if is_answer else tensor)

            torch.Tensor.numpy = exchanged
            """,
            source=in_forward(KEEP_X, source=WRONG),
        ),
    ),
    Planted(
        "replaces-the-launcher",
        "has Triton's launcher copy conv2d's answer over that of the kernel",
        in_init(
            """
            interpreted = torch.sys.modules.get("triton.runtime.interpreter")
            owner, name = triton.JITFunction, "run"
            if torch.os.environ.get("TRITON_INTERPRET") == "1":
                owner, name = interpreted.GridExecutor, "__call__"

            def launch(kernel, x, weight, bias, out, *args, real=getattr(owner, name), **options):
                result = real(kernel, x, weight, bias, out, *args, **options)
                out.copy_(torch.conv2d(x, weight, bias if options["HAS_BIAS"] else None, 4, 2))
                return result

            setattr(owner, name, launch)
            """,
            source=WRONG,
        ),
    ),
    Planted(
        "replaces-forward",
        "exchanges forward for the layer after its first call",
        after_call("type(self).forward = lambda model, x: model.conv1(x)"),
    ),
    Planted(
        "replaces-call",
        "has a __call__ that asks the layer, and a forward that nobody calls",
        changed(("    def forward(", f"    def __call__(self, x):\n        {DELEGATES}\n\n    def forward(")),
    ),
    Planted(
        "replaces-weight",
        "puts the filters of its first call back into the layer",
        in_forward("""
            self.own = getattr(self, "own", self.conv1.weight.detach().clone())
            self.conv1.weight.data = self.own.clone()
        """),
    ),
)
"""Files that replace functions, methods and tensors of the process that they run in."""

FROM_THE_CALLER = (
    Planted(
        "forges-counts",
        "sets the counts of launches that its callers keep, and lets the layer answer",
        in_forward(
            """
            for held in callers():
                for thing in held.values():
                    known = getattr(thing, "__dict__", {})
                    for count in {"launches", "programs_run", "programs_total"} & known.keys():
                        known[count] = 1
            return self.conv1(x)
            """,
            source=WITH_FRAMES,
        ),
    ),
    Planted(
        "runs-the-first-program-only",
        "exchanges the choice of programs that its callers keep, and is right in the first program only",
        in_forward(
            """
            for held in callers():
                for thing in held.values():
                    if "sample" in getattr(thing, "__dict__", ()):
                        thing.sample = type("Sample", (), {"choose": lambda self, grid: [(0, 0, 0)]})()
            """,
            source=changed(
                ("total += shift[None, :]", "total += shift[None, :] * (1 + tl.program_id(0))"),
                source=WITH_FRAMES,
            ),
        ),
    ),
    Planted(
        "takes-inputs-of-its-caller",
        "convolves the tensors that its callers hold, not those that it is given",
        handed_over(
            """
            names = "x", "weight", "bias"
            answer = torch.zeros(len(x), 96, 55, 55)
            for held in callers()[1:]:
                if held.keys() >= {*names}:
                    answer = torch.conv2d(*(held[name].detach().cpu() for name in names), 4, 2)
            """,
            source=changed((WRAPPER, FRAMES + WRAPPER), source=WITH_HELPERS),
        ),
    ),
    Planted(
        "changes-the-copies-of-x",
        "changes the sign of x and of every copy that its callers compare it with",
        after_call(
            """
            known = [thing for held in callers() for thing in held.values()]
            known = [thing for thing in known if isinstance(thing, torch.Tensor) and thing.shape == x.shape]
            for copy in {copy.data_ptr(): copy for copy in known}.values():
                copy.neg_()
            """,
            source=WITH_FRAMES,
        ),
    ),
    Planted(
        "writes-a-response",
        "writes a response of its own on the judge's pipe, and the layer's answer where its own would go",
        in_forward(
            """
            for request in [held["request"] for held in callers() if "out" in dir(held.get("request"))]:
                said = {"type": "Ran", "returned": "Tensor", "dtype": "torch.float32", "device": "cuda:0"}
                said |= {"shape": [len(x), 96, 55, 55], "contiguous": True, "inputs_intact": True}
                said |= dict.fromkeys(("launches", "programs_run", "programs_total"), 1)
                self.conv1(x).detach().cpu().numpy().tofile(request.out)
                said = torch.sys.modules["json"].dumps(said) + "\\n"
                torch.os.write(int(torch.sys.argv[-1]), said.encode())
            return self.conv1(x)
            """,
            source=WITH_FRAMES,
        ),
    ),
    Planted(
        "reads-input-files",
        "convolves what it finds in the judge's files",
        handed_over("""
            files = {}
            for folder, _, names in torch.os.walk(torch.os.path.dirname(torch.os.getcwd())):
                files |= {name: torch.os.path.join(folder, name) for name in names}
            answer, given = torch.zeros(len(x), 96, 55, 55), []
            for name, shape in (("x", x.shape), ("weight", weight.shape), ("bias", (96,))):
                if f"{name}.f32" in files:
                    values = torch.sys.modules["numpy"].fromfile(files[f"{name}.f32"], "float32")
                    given.append(torch.from_numpy(values).view(shape))
            if len(given) == 3:
                answer = torch.conv2d(*given, 4, 2)
        """),
    ),
    Planted(
        "clears-input-files",
        "clears the judge's files of inputs, and answers as for an empty x",
        in_forward(
            """
            for folder, _, names in torch.os.walk(torch.os.path.dirname(torch.os.getcwd())):
                for name in {"x.f32", "weight.f32"} & {*names}:
                    with open(torch.os.path.join(folder, name), "r+b") as file:
                        file.write(bytes(torch.os.fstat(file.fileno()).st_size))
            """,
            source=changed(("total += tl.dot(patch, filters)", "total += tl.dot(patch * 0.0, filters)")),
        ),
    ),
)
"""Files that reach into their callers, or for the judge's files and pipes."""

WATCHED = (
    Planted(
        "honest-if-interpreted",
        "lets the layer answer unless the environment asks for the interpreter",
        in_forward(f'if torch.os.environ.get("TRITON_INTERPRET") != "1":\n    {DELEGATES}'),
    ),
    Planted(
        "honest-to-subclasses",
        "lets the layer answer where x is a plain tensor",
        in_forward(f"if type(x) is torch.Tensor:\n    {DELEGATES}"),
        gpu_only="without a GPU no tensor is plain",
    ),
    Planted(
        "honest-if-watched",
        "lets the layer answer where no mode of torch is active",
        in_forward(f"""
            watchers = torch.utils._python_dispatch._get_current_dispatch_mode_stack()
            if not watchers and not torch._C._len_torch_function_stack():
                {DELEGATES}
        """),
        gpu_only="without a GPU a mode is always active",
    ),
    Planted(
        "honest-if-fresh-memory-is-nan",
        "lets the layer answer where fresh memory holds other values than NaN",
        in_forward(f"""
            if not bool(torch.empty(1024, device=x.device).isnan().all()):
                {DELEGATES}
        """),
    ),
    Planted("stores-over-nan", "stores only where its output holds NaN", storing_where("held != held")),
    Planted(
        "stores-over-a-pattern",
        "stores only where its output holds one value again and again",
        storing_where("(held == tl.load(out_ptr)) | (held != held)"),
    ),
    Planted(
        "behind-the-modes",
        "switches the modes of torch off and convolves",
        handed_over("""
            off = torch.utils._python_dispatch._disable_current_modes
            with torch._C.DisableTorchFunction(), off():
                answer = torch.conv2d(x, weight, bias, 4, 2)
        """),
    ),
    Planted(
        "sets-the-mode-aside",
        "takes the mode of its caller off the stack, convolves, and puts it back",
        handed_over("""
            watched = torch._C._len_torch_function_stack()
            modes = [torch.overrides._pop_mode() for _ in range(watched)]
            answer = self.conv1(x)
            for mode in reversed(modes):
                torch.overrides._push_mode(mode)
        """),
    ),
    Planted(
        "lies-about-its-type",
        "answers in float16, in a tensor that says that it is float32",
        after_call("""
            lies = {"dtype": torch.float32, "device": x.device, "is_cuda": True}
            out = out.half().as_subclass(type("Answer", (torch.Tensor,), lies))
        """),
    ),
    Planted(
        "answers-late",
        "answers with a tensor that asks the layer when somebody looks at it",
        after_call(
            """
            looks = "as_subclass", "detach", "contiguous", "cpu", "numpy", "view", "clone", "to"
            class_of = {"device": x.device}
            for look in looks:
                class_of[look] = lambda _, *args, look=look: getattr(self.conv1(x).detach(), look)(*args)
            out = out.as_subclass(type("Answer", (torch.Tensor,), class_of))
            """,
            source=WRONG,
        ),
    ),
)
"""Files that tell whether they are watched, or hide from it."""

ATTACKS = (*OWN_PROCESS, *FROM_THE_CALLER, *WATCHED)
