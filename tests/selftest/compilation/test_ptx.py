"""What a compiled kernel computes in, read off lines of PTX as compilers write them."""

import pytest

from kernelgate.compilation.machine_code.ptx import find_narrow, narrower_than, read_products

TF32 = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
HALF = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
BRAIN = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
EIGHT_BITS = "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e5m2.f32"
BYTES = "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.u8.s32"
WARPS = "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32"
WARPS_HALF = "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16"

DOT = (
    "%acc = tt.dot %a, %b, %c, inputPrecision = {} : tensor<32x32x{}> * tensor<32x32x{}> -> tensor<32x32xf32>"
)
SPLIT = DOT.format("bf16x3", "f32", "f32")
SIX_WAYS = DOT.format("bf16x6", "f32", "f32")
PLAIN = DOT.format("tf32", "f32", "f32")
OF_BRAIN = DOT.format("tf32", "bf16", "bf16")


def line(instruction: str) -> str:
    """Return the instruction as it stands in a file, between others."""
    return f"\tmov.u32 \t%r1, %tid.x;\n\t{instruction} {{ %f1, %f2 }}, {{ %r1 }}, {{ %r2 }};\n\tret;\n"


@pytest.mark.parametrize(
    "instruction",
    [
        TF32,
        WARPS,
        "fma.rn.f32",
        "fma.rn.ftz.f32",
        "add.f32",
        "mul.f64",
        "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64",
        "cvt.rna.tf32.f32",
        "cvt.f64.f32",
        "cvt.rn.f32.s32",
        "cvt.u64.u32",
        "add.s32",
        "min.u32",
        "mul.wide.s32",
        "add.s64",
        "sub.u16",
        "ld.global.b32",
        "ld.shared.v4.b16",
        "st.global.v4.b32",
        "mov.b16",
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16",
        "cp.async.cg.shared.global",
        "setp.lt.f32",
    ],
)
def test_tf32_and_what_is_more_precise_is_not_narrow(instruction: str) -> None:
    """Nor are whole numbers that count, nor moves of sixteen bits, of which a product's operands are made."""
    assert find_narrow(line(instruction), PLAIN) == ()


@pytest.mark.parametrize(
    "instruction",
    [
        HALF,
        BRAIN,
        EIGHT_BITS,
        BYTES,
        WARPS_HALF,
        "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16",
        "mma.sync.aligned.kind::f8f6f4.m16n8k32.row.col.f32.e2m1.e3m2.f32",
        "mma.sync.aligned.m16n8k64.row.col.s32.s4.u4.s32",
        "fma.rn.f16",
        "fma.rn.f16x2",
        "fma.rn.bf16x2",
        "mul.f16x2",
        "add.rn.f16x2",
        "sub.bf16",
        "min.f16",
        "max.NaN.f16x2",
        "cvt.rn.f16.f32",
        "cvt.rn.f16x2.f32",
        "cvt.rn.bf16x2.f32",
        "cvt.f32.f16",
        "cvt.f32.bf16",
        "cvt.rn.satfinite.e4m3x2.f32",
        "cvt.rn.f16x2.e5m2x2",
    ],
)
def test_less_than_tf32_is_named(instruction: str) -> None:
    """Products, sums and conversions, in one element or in packs of two."""
    assert find_narrow(line(instruction), PLAIN) == (instruction,)


def test_a_wider_sum_makes_no_narrow_product_wide() -> None:
    """Float32 is what is summed in, not what is multiplied."""
    assert find_narrow(line(TF32) + line(HALF), PLAIN) == (HALF,)


def test_each_instruction_is_named_once_in_order() -> None:
    """An unrolled loop has hundreds of them."""
    assert find_narrow((line(BRAIN) + line("cvt.rn.f16.f32")) * 50, PLAIN) == (BRAIN, "cvt.rn.f16.f32")


@pytest.mark.parametrize("predicate", ["@%p1", "@!%p12", "@%p1\t"])
def test_a_predicated_instruction_counts(predicate: str) -> None:
    """It runs for some threads."""
    ptx = f"\t{predicate} {HALF} {{%f1}}, {{%r1}};\n"
    assert find_narrow(ptx, PLAIN) == (HALF,)
    assert read_products(ptx) == ("f16",)


@pytest.mark.parametrize(
    "text",
    [
        "{ .reg .f16 h; cvt.rn.f16.f32 h, $1; fma.rn.f16 $0, h, h, h; }",
        "{.reg .pred p; setp.lt.f32 p, $1, $2; @p cvt.rn.f16.f32 $0, $1; @!p fma.rn.f16 $0, h, h, h;}",
        "cvt.rn.f16.f32 %h1, %f1; /* and */ fma.rn.f16 %h2, %h1, %h1, %h1;",
        '.pragma "//"; cvt.rn.f16.f32 %h1, %f1; .pragma "/*"; fma.rn.f16 %h2, %h1, %h1, %h1; .pragma "*/";',
        "loop: cvt.rn.f16.f32 %h1, %f1;\n\t{\n\tfma.rn.f16 %h2, %h1, %h1, %h1;\n\t}",
    ],
)
def test_instructions_may_share_a_line(text: str) -> None:
    """As inline assembly is written: between braces, behind a label, beside a text that opens no comment."""
    assert find_narrow(f"\t// begin inline asm\n\t{text}\n", PLAIN) == ("cvt.rn.f16.f32", "fma.rn.f16")


@pytest.mark.parametrize(
    "text",
    [
        f"\t// a comment; {HALF} {{ %f1 }};",
        f"\t/* {HALF};\n\t{HALF}; */",
        f"\t// {HALF} {{ %f1 }};",
        f"//{HALF}",
        "\t.reg .b16 %rs<5>;",
        '\t.file 1 "/kernels/fma.rn.f16.py"',
        ".visible .entry fma_rn_f16(",
        "$L__BB0_2:",
        f"\tmov.u32 %r1, %r2; // then {HALF}",
    ],
)
def test_only_instructions_are_read(text: str) -> None:
    """Not comments, declarations, names of files or labels."""
    assert find_narrow(f"{text}\n\tret;\n", PLAIN) == ()
    assert read_products(f"{text}\n\tret;\n") == ()


@pytest.mark.parametrize("ttir", [SPLIT, SIX_WAYS, f"{SPLIT}\n{SPLIT}"])
@pytest.mark.parametrize("instruction", [BRAIN, "cvt.rn.bf16x2.f32", "cvt.f32.bf16", "sub.bf16x2"])
def test_the_parts_of_a_split_product_are_not_narrow(ttir: str, instruction: str) -> None:
    """Three or six products of bf16 parts add up to more than TF32 has."""
    assert find_narrow(line(instruction), ttir) == ()


@pytest.mark.parametrize(
    "ttir",
    ["", PLAIN, OF_BRAIN, f"{SPLIT}\n{PLAIN}", f"{SPLIT}\n{OF_BRAIN}", DOT.format("bf16x3", "bf16", "bf16")],
)
def test_bf16_beside_a_product_that_is_not_split_is_named(ttir: str) -> None:
    """One split product excuses no other, and operands that come in bf16 have nothing left to split."""
    assert find_narrow(line(BRAIN), ttir) == (BRAIN,)


@pytest.mark.parametrize("instruction", [HALF, EIGHT_BITS, BYTES, "fma.rn.f16x2"])
def test_a_split_product_excuses_bf16_only(instruction: str) -> None:
    """Other narrow types are no parts of it."""
    assert find_narrow(line(instruction), SPLIT) == (instruction,)


@pytest.mark.parametrize(
    ("ptx", "products"),
    [
        (line(TF32), ("tf32",)),
        (line(WARPS), ("tf32",)),
        (line(HALF), ("f16",)),
        (line(EIGHT_BITS), ("e4m3", "e5m2")),
        (line(BYTES), ("s8", "u8")),
        (line("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64"), ("f64",)),
        (line("fma.rn.f32"), ("fma",)),
        (line("fma.rn.ftz.f32"), ("fma",)),
        (line(TF32) + line("fma.rn.f32"), ("fma", "tf32")),
        (line("add.f32") + line("cvt.rn.f16.f32"), ()),
        ("", ()),
    ],
)
def test_products_are_told_by_the_types_of_their_operands(ptx: str, products: tuple[str, ...]) -> None:
    """Each once; float32 without tensor cores is told as `fma`, and what forms no product not at all."""
    assert read_products(ptx) == products


def test_on_bfloat16_tensors_its_products_and_roundings_are_no_less_than_declared() -> None:
    """They are exact, and the answer is rounded to it; what has not its range is named."""
    names = (BRAIN, "cvt.rn.bf16x2.f32", HALF, "cvt.rn.f16.f32")
    assert narrower_than("bfloat16", names) == names[2:]
    assert narrower_than("float32", names) == names
