"""Faults of state: memory outside the tensors, changed inputs, what a call leaves behind for the next."""

import textwrap

from tests.selftest.corpus.planted.base import Planted, after_call, changed, in_forward

WRAPPER = "def triton_conv2d_nchw(\n"
OUT = "    out = torch.empty((N, C_out, OH, OW), device=x.device, dtype=x.dtype)\n"
CONTIGUOUS_X = "    x = x.contiguous()\n"
LOAD_X = "        patch = tl.load(x_ptr + x_offset, mask=inside, other=0.0).to(tl.float32)\n"
STORE = "    tl.store(out_ptr + out_offset, total, mask=valid_m & (channel_n < C_out))\n"
CUT = "patch = (patch.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)"
FIRST_PROGRAM = "tl.program_id(0) + tl.program_id(1) == 0"
AFTER_BIAS = "        x if bias is None else bias,\n"
PARAMETERS = "x, conv1.weight, conv1.bias"


def block(code: str) -> str:
    """Return code as it stands in a kernel or a wrapper."""
    return textwrap.indent(textwrap.dedent(code).strip("\n"), "    ") + "\n"


def reading_x(mask: str) -> str:
    """Return a kernel file that reads x under another mask, and drops what lies outside."""
    return changed(
        (LOAD_X, f"        wider = valid_m & k_valid[None, :] & {mask}\n{LOAD_X}"),
        ("x_offset, mask=inside, other=0.0).to(tl.float32)", "x_offset, mask=wider, other=0.0)"),
        ("total += tl.dot(patch, filters)", "total += tl.dot(tl.where(inside, patch, 0.0), filters)"),
    )


def remembering(name: str, *edits: tuple[str, str], pointers: tuple[str, ...] = ()) -> str:
    """Return a changed kernel file with an empty table of the module, and more tensors for its kernel."""
    new = [(AFTER_BIAS, f"{AFTER_BIAS}        {pointer},\n") for pointer in pointers]
    new += [("    b_ptr,\n", f"    b_ptr,\n    {pointer}_ptr,\n") for pointer in pointers]
    return changed((WRAPPER, f"{name} = {{}}\n\n\n{WRAPPER}"), *new, *edits)


def packing(code: str) -> str:
    """Return a kernel file whose forward finds the filters of this call in `packed`, by the code."""
    return in_forward(code, source=remembering("PACKED", (PARAMETERS, "x, packed, conv1.bias")))


def answering_again(key: str) -> str:
    """Return a kernel file that keeps each answer and gives it again where the key is the same."""
    source = in_forward(f"""
        answers, weight = self.__dict__.setdefault("answers", {{}}), self.conv1.weight
        key = ({key}, x.shape, weight._version)
        if key in answers:
            return answers[key]
    """)
    return after_call("answers[key] = out", source=source)


def counting_calls(parameters: str) -> str:
    """Return a kernel file whose parameters depend on how many calls its model has seen."""
    source = changed((f"{PARAMETERS}, stride=conv1.stride[0], padding=conv1.padding[0]", parameters))
    return in_forward('self.calls = getattr(self, "calls", 0) + 1', source=source)


MEMORY = (
    Planted(
        "reads-before-x", "reads rows above the first image", reading_x("(row < H) & (col >= 0) & (col < W)")
    ),
    Planted(
        "reads-past-x", "reads a row below the last image", reading_x("(row >= 0) & (col >= 0) & (col < W)")
    ),
    Planted(
        "reads-past-weight",
        "multiplies what lies behind the last filter by zero",
        changed(("w_valid = (k_rows < K_TOTAL) & (channel_n < C_out)", "w_valid = channel_n < C_out")),
    ),
    Planted(
        "reads-past-bias",
        "reads as many biases as a block has columns",
        changed(("tl.load(b_ptr + n, mask=n_valid, other=0.0)", "tl.load(b_ptr + n)")),
    ),
    Planted(
        "writes-past-output",
        "its first program stores a zero behind the last element",
        changed((STORE, f"{STORE}    tl.store(out_ptr + N * C_out * pixels, 0.0, mask={FIRST_PROGRAM})\n")),
    ),
    Planted(
        "writes-before-output",
        "its first program stores a zero before the first element",
        changed((STORE, f"{STORE}    tl.store(out_ptr - 1, 0.0, mask={FIRST_PROGRAM})\n")),
    ),
    Planted(
        "truncates-x-in-place",
        "the kernel writes the TF32 values of x where x lies",
        changed((LOAD_X, f"{LOAD_X}        {CUT}\n        tl.store(x_ptr + x_offset, patch, mask=inside)\n")),
    ),
    Planted(
        "truncates-weight-in-place",
        "cuts the filters to TF32 in the parameter's own memory",
        in_forward("self.conv1.weight.data.view(torch.int32).bitwise_and_(-8192)"),
    ),
    Planted(
        "clears-bias",
        "sets the bias to zero after its use",
        after_call("if conv1.bias is not None: conv1.bias.data.zero_()"),
    ),
    Planted(
        "fresh-memory-as-zeros",
        "adds the products to what fresh memory happens to hold",
        changed((STORE, STORE.replace("store", "atomic_add"))),
    ),
)
"""Reads and writes outside the tensors, and inputs that a call changes."""

CACHES = (
    Planted(
        "packed-for-good",
        "keeps the filters of the first call",
        packing("""
            self.packed = packed = getattr(self, "packed", self.conv1.weight.detach().clone())
        """),
    ),
    Planted(
        "packed-by-pointer",
        "keeps filters by the address of the weight, for every model",
        packing("""
            packed = PACKED.setdefault(self.conv1.weight.data_ptr(), self.conv1.weight.detach().clone())
        """),
    ),
    Planted(
        "packed-for-all-models",
        "shares filters between models whose weights were set equally often",
        packing("""
            packed = PACKED.setdefault(self.conv1.weight._version, self.conv1.weight.detach().clone())
        """),
    ),
    Planted(
        "packed-by-version-of-x",
        "renews the filters when x was changed, not when the weight was",
        packing("""
            if PACKED.get(self, (None, None))[0] != x._version:
                PACKED[self] = x._version, self.conv1.weight.detach().clone()
            packed = PACKED[self][1]
        """),
    ),
    Planted(
        "packed-by-first-filter",
        "renews the filters only when the first of them has changed",
        packing("""
            if self not in PACKED or not torch.equal(PACKED[self][0], self.conv1.weight[0]):
                PACKED[self] = self.conv1.weight.detach().clone()
            packed = PACKED[self]
        """),
    ),
    Planted(
        "bias-by-version-of-weight",
        "renews its copy of the bias when the weight was changed",
        in_forward(
            """
            bias, version = self.conv1.bias, self.conv1.weight._version
            if bias is not None and getattr(self, "version", None) != version:
                self.version, self.shift = version, bias.detach().clone()
            """,
            source=changed((PARAMETERS, "x, conv1.weight, bias if bias is None else self.shift")),
        ),
    ),
    Planted(
        "packed-in-eval-mode",
        "renews the filters in training alone",
        packing("""
            if self.training or "packed" not in self.__dict__:
                self.packed = self.conv1.weight.detach().clone()
            packed = self.packed
        """),
    ),
    Planted(
        "packed-anew-once",
        "renews the filters the first time that the weight has changed, and never again",
        packing("""
            versions = self.__dict__.setdefault("versions", [])
            if len(versions) < 2 and self.conv1.weight._version not in versions:
                versions.append(self.conv1.weight._version)
                self.packed = self.conv1.weight.detach().clone()
            packed = self.packed
        """),
    ),
    Planted("answer-by-pointer", "answers by the address of x", answering_again("x.data_ptr()")),
    Planted("answer-by-object", "answers by the identity of x", answering_again("id(x)")),
    Planted("answer-by-batch", "answers by the size of the batch", answering_again("len(x)")),
    Planted(
        "answer-by-version",
        "answers by address and version, which x.data leaves as they are",
        answering_again(
            "x.data_ptr(), x.stride(), x._version, self.conv1.bias is None or self.conv1.bias._version"
        ),
    ),
    Planted(
        "answer-by-first-pixels",
        "the kernel stores its last answer again where the first 64 values of x are as they were",
        remembering(
            "LAST",
            (OUT, f"{OUT}    seen, kept = LAST.get(N, (torch.full_like(x[0], -1e30), out))\n"),
            ("    return out\n", "    LAST[N] = x[0].clone(), out.clone()\n    return out\n"),
            (
                STORE,
                block(f"""
                first = tl.arange(0, 64)
                differs = tl.load(x_ptr + first) != tl.load(seen_ptr + first)
                kept = tl.load(kept_ptr + out_offset, mask=valid_m & (channel_n < C_out))
                total = tl.where(tl.max(differs.to(tl.int32), 0) == 0, kept, total)
                {STORE.strip()}
            """),
            ),
            pointers=("seen", "kept"),
        ),
    ),
    Planted(
        "sums-never-cleared",
        "keeps its running sums in memory that is zero at the first call",
        remembering(
            "SUMS",
            (OUT, f"{OUT}    sums = SUMS.setdefault(N, torch.zeros_like(out))\n"),
            (
                STORE,
                block(f"""
                total += tl.load(sums_ptr + out_offset, mask=valid_m & (channel_n < C_out))
                {STORE.strip().replace("out_ptr", "sums_ptr")}
                {STORE.strip()}
            """),
            ),
            pointers=("sums",),
        ),
    ),
    Planted(
        "one-buffer",
        "returns the same memory at every call of a batch size",
        remembering("BUFFERS", (OUT, f"{OUT}    out = BUFFERS.setdefault(N, out)\n")),
    ),
    Planted(
        "two-buffers",
        "returns two pieces of memory in turn",
        remembering(
            "RINGS",
            (
                OUT,
                block(f"""
            {OUT.strip()}
            ring = RINGS.setdefault(N, [])
            ring.append(ring.pop(0) if len(ring) == 2 else out)
            out = ring[-1]
        """),
            ),
        ),
    ),
    Planted(
        "answer-in-storage-of-x",
        "enlarges the storage of x and answers behind its values",
        changed(
            (
                OUT,
                block("""
            storage = x.untyped_storage()
            behind = storage.nbytes() // 4
            storage.resize_(4 * (behind + N * C_out * OH * OW))
            out = torch.empty(0, device=x.device).set_(storage, behind, (N, C_out, OH, OW))
        """),
            )
        ),
    ),
    Planted(
        "copy-by-pointer",
        "keeps its contiguous copy of an x that is not, by address",
        remembering(
            "COPIES",
            (
                CONTIGUOUS_X,
                block("""
            if not x.is_contiguous():
                x = COPIES.setdefault((x.data_ptr(), x.shape, x.stride()), x.contiguous())
        """),
            ),
        ),
    ),
    Planted(
        "first-grid",
        "launches as many programs as the first batch took",
        remembering("FIRST", ("triton.cdiv(N * OH", "triton.cdiv(FIRST.setdefault(0, N) * OH")),
    ),
)
"""What a call leaves behind and the next one trusts."""

CALLS = (
    Planted(
        "third-call",
        "leaves the bias out from the third call on",
        counting_calls("x, conv1.weight, conv1.bias if self.calls < 3 else None, 4, 2"),
    ),
    Planted(
        "tenth-call",
        "is a pixel off at every tenth call",
        counting_calls(f"{PARAMETERS}, 4, 3 if self.calls % 10 == 0 else 2"),
    ),
    Planted(
        "sixteen-calls",
        "takes the filters in reverse from the seventeenth call on",
        counting_calls("x, conv1.weight if self.calls <= 16 else conv1.weight.flip(0), conv1.bias, 4, 2"),
    ),
)
"""Right at first only."""

LAYOUTS = (
    Planted("assumes-contiguous", "reads any x as if it were contiguous", changed((CONTIGUOUS_X, ""))),
    Planted(
        "ignores-offset",
        "reads from the start of the storage of x",
        changed((CONTIGUOUS_X, f"{CONTIGUOUS_X}    x = x.as_strided(x.shape, x.stride(), 0)\n")),
    ),
    Planted(
        "ignores-batch-stride",
        "takes images that are each contiguous for adjacent",
        changed((CONTIGUOUS_X, "    x = x if x[0].is_contiguous() else x.contiguous()\n")),
    ),
    Planted(
        "no-bias-reads-x",
        "adds the first values of x where there is no bias",
        changed(("HAS_BIAS=bias is not None", "HAS_BIAS=True")),
    ),
    Planted(
        "no-bias-keeps-one",
        "adds the bias that the layer was made with where there is none",
        changed(
            ("padding=2, bias=True)\n", "padding=2, bias=True)\n        self.shift = self.conv1.bias\n"),
            (PARAMETERS, "x, conv1.weight, self.shift"),
        ),
    ),
    Planted("double-output", "answers in float64", after_call("out = out.double()")),
    Planted(
        "one-image-squeezed",
        "answers one image without a batch",
        after_call("out = out[0] if len(x) == 1 else out"),
    ),
    Planted("output-on-the-host", "answers in host memory", after_call("out = out.cpu()")),
    Planted(
        "channels-last-output",
        "answers with the channels innermost",
        after_call("out = out.contiguous(memory_format=torch.channels_last)"),
    ),
    Planted(
        "unawaited-stream",
        "launches on a stream that waits for nobody, and nobody waits for it",
        in_forward("""
            self.stream = getattr(self, "stream", None) or torch.cuda.Stream()
            with torch.cuda.stream(self.stream):
                return triton_conv2d_nchw(x, self.conv1.weight, self.conv1.bias, 4, 2)
        """),
    ),
)
"""Layouts of x, a layer without a bias, and the kind of tensor that is returned."""

STATE = (*MEMORY, *CACHES, *CALLS, *LAYOUTS)
