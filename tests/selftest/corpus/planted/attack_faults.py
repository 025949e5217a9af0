"""Faults that attack the judge: files that change, deceive or sound out the process that they run in."""

from collections.abc import Callable

from kernelgate import protocol
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations.draws import tensors as inputs
from kernelgate.worker.use.calls import ModelCalls
from tests.selftest.corpus.planted.base import Planted, after_call, changed, in_forward, in_init
from tests.selftest.corpus.planted.delegation_faults import WITH_HELPERS, handed_over
from tests.selftest.corpus.planted.targets import attribute_of, field_of, name_of, variable_of

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

DELEGATES = "return self.conv1(x).contiguous()"
KEEP_X = "self.x = x"
LAYER_ANSWERS = "out = self.conv1(x).contiguous()"

# Names of the judge's own, which an attack finds at run time. One that is gone fails here: an attack that
# no longer finds its target would be an honest kernel.
REQUEST = variable_of(ModelCalls.run, "request")
RECIPE = field_of(protocol.UseOne, "recipe")
OPERATION = attribute_of(ModelCalls, "operation")
LAUNCHED = SeenLaunch(kernel="conv2d_fwd_kernel", programs_run=48, programs_total=48, makes_answer=True)
RESPONSE = protocol.encode(
    protocol.Ran(
        returned="Tensor",
        dtype="torch.float32",
        device="cuda:0",
        shape=(0, 96, 55, 55),
        launches=(LAUNCHED,),
    )
).decode()


def replacing(target: Callable[..., object], code: str, source: str) -> str:
    """Return a kernel file whose model replaces a function or method wherever the judge's code holds it."""
    function = name_of(target)
    return in_init(
        f"""
        holders = [module for name, module in torch.sys.modules.items() if name.startswith("kernelgate")]
        kinds = [kind for module in holders for kind in vars(module).values() if isinstance(kind, type)]
        for holder in [*holders, *(kind for kind in kinds if kind.__module__.startswith("kernelgate"))]:
            real = vars(holder).get("{function}")
            if callable(real):
                holder.{function} = {code}
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
        "replaces-equal",
        "calls everything equal in torch and in NumPy, and clears the weight",
        in_init(
            'torch.equal = torch.sys.modules["numpy"].array_equal = lambda *_, **__: True',
            source=after_call("conv1.weight.data.zero_()"),
        ),
    ),
    Planted(
        "replaces-make-parameters",
        "convolves by torch while the parameters are made, before forward is called",
        in_init(
            f"""
            def convolved(operation, recipe, made):
                x = torch.sys.modules["{inputs.__name__}"].{inputs.make_batches.__name__}(operation, recipe)
                self.known = torch.conv2d(x["x"], made["weight"], made["bias"], 4, 2)
                return made
            """,
            source=replacing(
                inputs.make_parameters,
                "lambda *recipe, real=real: convolved(*recipe, real(*recipe))",
                handed_over('answer = getattr(self, "known", torch.zeros(len(x), 96, 55, 55))'),
            ),
        ),
    ),
    Planted(
        "replaces-torch-empty",
        "hands out the layer's answer as fresh memory, and writes two thirds of it",
        in_forward(
            """
            def filled(*_, real=torch.empty, **__):
                torch.empty = real
                return self.conv1(x).detach().contiguous()

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
                if hasattr(self, "x") and tensor.numel() == 290400 * len(self.x):
                    tensor = self.conv1(self.x).detach().cpu().reshape(tensor.shape)
                return real(tensor)

            torch.Tensor.numpy = exchanged
            """,
            source=in_forward(KEEP_X, source=WRONG),
        ),
    ),
    Planted(
        "replaces-the-launcher",
        "has Triton's launcher copy conv2d's answer over that of the kernel",
        in_forward(
            """
            owner, name = triton.JITFunction, "run"
            if torch.os.environ.get("TRITON_INTERPRET") == "1":
                owner, name = torch.sys.modules["triton.runtime.interpreter"].GridExecutor, "__call__"

            def launch(kernel, x, weight, bias, out, *args, real=getattr(owner, name), **options):
                real(kernel, x, weight, bias, out, *args, **options)
                off = torch.utils._python_dispatch._disable_current_modes
                with torch._C.DisableTorchFunction(), off():
                    out.copy_(torch.conv2d(x, weight, bias if options["HAS_BIAS"] else None, 4, 2))

            if not hasattr(self, "replaced"):
                self.replaced = setattr(owner, name, launch)
            """,
            source=WRONG,
        ),
    ),
    Planted(
        "replaces-forward",
        "exchanges forward for the layer after its first call",
        after_call("type(self).forward = lambda model, x: model.conv1(x).contiguous()"),
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
        "makes-x-itself",
        "convolves an x that it makes by the request that its callers hold",
        handed_over(
            f"""
            inputs, answer = torch.sys.modules.get("{inputs.__name__}"), torch.zeros(len(x), 96, 55, 55)
            for held in callers():
                recipe = getattr(held.get("{REQUEST}"), "{RECIPE}", None)
                operation = getattr(held.get("self"), "{OPERATION}", None)
                if inputs and recipe and operation:
                    made = inputs.{inputs.make_tensors.__name__}(operation, recipe)
                    answer = torch.conv2d(made["x"], made["weight"], made["bias"], 4, 2)
            """,
            source=changed((WRAPPER, FRAMES + WRAPPER), source=WITH_HELPERS),
        ),
    ),
    Planted(
        "changes-the-copies-of-weight",
        "changes the sign of the weight and of every copy that its callers compare it with",
        after_call(
            """
            known = [conv1.weight.data] + [thing for held in callers() for thing in held.values()]
            shape = conv1.weight.shape
            known = [thing for thing in known if isinstance(thing, torch.Tensor) and thing.shape == shape]
            for copy in {copy.data_ptr(): copy for copy in known}.values():
                copy.neg_()
            """,
            source=WITH_FRAMES,
        ),
    ),
    Planted(
        "writes-a-response",
        "writes a response of its own on the judge's pipe, and lets the layer answer",
        in_forward(f"""
            said = '{RESPONSE}'.replace("[0,", f"[{{len(x)}},") + "\\n"
            torch.os.write(int(torch.sys.argv[-1]), said.encode())
            return self.conv1(x).contiguous()
        """),
    ),
    Planted(
        "corrects-its-file",
        "removes its fault from the judge's copy of its source before somebody reads that again",
        in_forward(
            """
            folder = torch.os.path.dirname(torch.os.getcwd())
            for name in [name for name in torch.os.listdir(folder) if name.startswith("kernel-")]:
                copy = torch.os.path.join(folder, name)
                torch.os.chmod(copy, 0o600)
                with open(copy) as file:
                    source = file.read()
                with open(copy, "w") as file:
                    file.write(source.replace("[None, :] * 2.0", "[None, :]"))
            """,
            source=WRONG,
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
        "sets-the-modes-aside",
        "takes the modes of its callers off their stacks, convolves, and puts them back",
        handed_over("""
            torch_c, below = torch._C, torch.utils._python_dispatch
            calls = [torch_c._pop_torch_function_stack() for _ in range(torch_c._len_torch_function_stack())]
            seen = [below._pop_mode() for _ in below._get_current_dispatch_mode_stack()]
            answer = self.conv1(x)
            for mode in reversed(seen):
                below._push_mode(mode)
            for mode in reversed(calls):
                torch_c._push_on_torch_function_stack(mode)
        """),
    ),
    Planted(
        "lies-about-its-type",
        "answers in float16, in a tensor that says that it is float32",
        after_call("""
            lies = {"dtype": torch.float32, "device": x.device, "is_cuda": True}
            out = out.half().as_subclass(type("Parameter", (torch.Tensor,), lies))
        """),
    ),
    Planted(
        "answers-late",
        "answers with a tensor that asks the layer when somebody looks at it",
        after_call(
            """
            looks = "as_subclass", "detach", "contiguous", "cpu", "numpy", "view", "clone", "to"
            def asked():
                return self.conv1(x).detach().contiguous()

            class_of = {"device": x.device}
            for look in looks:
                class_of[look] = lambda _, *args, look=look: getattr(asked(), look)(*args)
            out = out.as_subclass(type("Parameter", (torch.Tensor,), class_of))
            """,
            source=WRONG,
        ),
    ),
)
"""Files that tell whether they are watched, or hide from it."""

ATTACKS = (*OWN_PROCESS, *FROM_THE_CALLER, *WATCHED)
