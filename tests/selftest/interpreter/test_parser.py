"""TTIR's text becomes a module, or an error that names the line."""

# ruff: noqa: ANN001, ANN202, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.errors import CannotInterpretError, TtirSyntaxError
from kernelgate.interpreter.text.module import Operation, Type
from kernelgate.interpreter.text.parser import parse
from kernelgate.interpreter.text.types import parse_type
from tests.selftest.interpreter.compiled import parse_kernel

BODY = """module {{
  tt.func public @kernel(%x: !tt.ptr<f32> {{tt.divisibility = 16 : i32}} loc("x"(#loc)), %n: i32) {{
    {line}
    tt.return loc(#loc2)
  }} loc(#loc)
}} loc(#loc)
#loc = loc("kernel.py":3:0)
"""


def operation(line: str) -> Operation:
    return parse(BODY.format(line=line)).kernel.body.blocks[0].operations[0]


def test_kernel_and_parameters() -> None:
    kernel = parse(BODY.format(line="%0 = tt.get_program_id x : i32")).kernel
    assert kernel.name == "kernel"
    assert [each.name for each in kernel.parameters] == ["%x", "%n"]
    assert kernel.parameters[0].type == Type(element="ptr", pointee=Type(element="f32"))


def test_name_operands_words_and_types() -> None:
    found = operation(
        "%2:2 = tt.atomic_rmw fadd, acq_rel, gpu, %0, %1#1, %m : (tensor<4x!tt.ptr<f32>>, tensor<4xf32>, "
        "tensor<4xi1>) -> tensor<4xf32> loc(#loc3)"
    )
    assert found.name == "tt.atomic_rmw"
    assert found.results == ("%2#0", "%2#1")
    assert found.operands == ("%0", "%1#1", "%m")
    assert found.words == ("fadd", "acq_rel", "gpu")
    assert [each.element for each in found.inputs] == ["ptr", "f32", "i1"]
    assert found.outputs == (Type(element="f32", shape=(4,)),)


@pytest.mark.parametrize(
    ("line", "attributes"),
    [
        ("%0 = tt.make_range {end = 8 : i32, start = 0 : i32} : tensor<8xi32>", {"end": 8, "start": 0}),
        ("%0 = tt.trans %x {order = array<i32: 1, 0>} : tensor<4x8xf32>", {"order": (1, 0)}),
        ("%0 = tt.dot %a, %b, %c, inputPrecision = tf32 : tensor<4x4xf32>", {"inputPrecision": "tf32"}),
        ("%0 = tt.load %p cacheModifier = ca {isVolatile = true} : !tt.ptr<f32>",
         {"cacheModifier": "ca", "isVolatile": True}),
        ("%0 = arith.constant dense<[1, -2]> : tensor<2xi32>", {"value": (1, -2)}),
        ("%0 = arith.constant 0x7FC00000 : f32", {"value": "0x7FC00000"}),
        ("%0 = arith.constant true", {"value": True}),
        ("%0 = arith.constant dense<-1.5E+2> : tensor<2xf32>", {"value": -150.0}),
        ('%0 = arith.constant dense<"0x01FF"> : tensor<2xi8>', {"value": b"\x01\xff"}),
    ],
)  # fmt: skip
def test_attributes(line: str, attributes: dict[str, object]) -> None:
    assert operation(line).attributes == attributes


def test_texts_hold_anything() -> None:
    found = operation('tt.assert %x, "a \\"loc(b)\\" : {\\0A // %y" : i1 loc("k"(#loc1))')
    assert found.texts == ('a "loc(b)" : {\n // %y',)
    assert found.operands == ("%x",)


def test_loops_and_branches_have_regions() -> None:
    @triton.jit
    def kernel(x, n, BLOCK: tl.constexpr):
        place = tl.arange(0, BLOCK)
        total = tl.load(x + place)
        for _ in range(n):
            if n > 3:
                total += 1.0
        turns = 0
        while turns < n:
            turns += 1
            total *= 2.0
        tl.store(x + place, tl.cumsum(total))

    module = parse_kernel(kernel, {"x": np.zeros(8, np.float32), "n": 1}, BLOCK=8)
    found = {each.name: each for each in module.kernel.body.blocks[0].operations}
    assert len(found["scf.for"].regions) == 1
    assert len(found["scf.while"].regions) == 2
    assert len(found["scf.while"].carried) == len(found["scf.while"].regions[1].blocks[0].parameters) == 2
    scan = found["tt.scan"]
    assert scan.attributes == {"axis": 0, "reverse": False}
    assert [each.type.element for each in scan.regions[0].blocks[0].parameters] == ["f32", "f32"]


def test_a_name_that_is_used_again_beside_its_region_means_another_value() -> None:
    text = BODY.format(
        line="""%c = arith.constant true
    %0:2 = scf.if %c -> (f32, f32) {
      %1 = tt.load %x : !tt.ptr<f32>
      scf.yield %1, %1 : f32, f32
    } else {
      %1 = arith.constant 1.0 : f32
      scf.yield %1, %1 : f32, f32
    }
    %2 = scf.for %i = %n to %n step %n iter_args(%a = %0#1) -> (f32) : i32 {
      scf.yield %a : f32
    }
    %3 = scf.for %i = %n to %n step %n iter_args(%a = %2) -> (f32) : i32 {
      %1 = arith.addf %a, %a : f32
      scf.yield %1 : f32
    }
    %4 = "tt.reduce"(%3) <{axis = 0 : i32}> ({
    ^bb0(%a: f32, %1: f32):
      tt.reduce.return %1 : f32
    }) : (f32) -> f32"""
    )
    body = parse(text).kernel.body
    defined = [name for each in body.every() for name in each.results]
    assert len(set(defined)) == len(defined)
    _, branch, first, second, reduction, _ = body.blocks[0].operations
    loaded, constant = (each.blocks[0].operations for each in branch.regions)
    assert loaded[1].operands == loaded[0].results * 2
    assert constant[1].operands == constant[0].results * 2 != loaded[1].operands
    assert first.carried[-1] == ("%a", "%0#1")
    assert first.regions[0].blocks[0].operations[0].operands == ("%a",)
    added, yielded = second.regions[0].blocks[0].operations
    assert second.carried[-1] == (added.operands[0], "%2")
    assert added.operands[0] == added.operands[1] != "%a"
    assert yielded.operands == added.results
    block = reduction.regions[0].blocks[0]
    assert block.operations[0].operands == (block.parameters[1].name,)


@triton.jit
def hoists_nothing(x, n) -> None:
    turns = 0
    while tl.condition(turns < n, disable_licm=True):
        turns += 1
    tl.store(x, turns)


def test_attributes_of_a_loop_are_not_types() -> None:
    """They stand between its types and its region."""
    module = parse_kernel(hoists_nothing, {"x": np.zeros(8, np.int32), "n": 1})
    loop = next(each for each in module.kernel.body.blocks[0].operations if each.name == "scf.while")
    assert [each.element for each in (*loop.inputs, *loop.outputs)] == ["i32", "i32"]
    assert len(loop.attributes) == 1


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "too early"),
        ("func {\n}", 1, "module is expected"),
        ("module {\n}", 2, "no kernel"),
        (BODY.format(line="%0 = tt.load ; %x"), 3, "not understood"),
        (BODY.format(line="%0 = tt.load %x : tensor<4xf3>"), 3, "f3"),
        (BODY.format(line="%0 = tt.splat %x {a = 1 : i32 : i32"), 3, "not closed"),
        (BODY.format(line="%0 = load %x : i32"), 3, "no operation"),
        (BODY.format(line="%0 ="), 3, "no name"),
        (BODY.format(line="scf.if %x {"), 6, "too early"),
        (BODY.format(line="tt.return\n  }\n}\ntt.func @other() {"), 6, "behind the module"),
        (BODY.format(line="scf.if %x {\n" * 200), 103, "nested"),
    ],
)
def test_what_is_not_understood_is_named_by_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(TtirSyntaxError, match=why) as caught:
        parse(text)
    assert caught.value.line == line
    assert isinstance(caught.value, CannotInterpretError)


@pytest.mark.parametrize("text", ["f7", "tensor<4xtensor<2xf32>>", "tensor<4x>", "!ttg.token", "<f32"])
def test_unknown_types(text: str) -> None:
    with pytest.raises(ValueError, match="not known"):
        parse_type(text)


def test_types() -> None:
    block = parse_type("!tt.tensordesc<tensor<16x32xf16>>")
    assert (block.element, block.pointee) == ("desc", Type(element="f16", shape=(16, 32)))
    assert parse_type("tensor<16x!tt.ptr<bf16>>").size == 16
