"""The kernels of this repository, interpreted whole, are right; a large batch costs what is touched."""

import resource
import time

import numpy as np
import pytest
import torch

from kernelgate.interpreter.launch import MAX_CHUNK, LaunchRun
from kernelgate.interpreter.memory.buffer import poison
from kernelgate.interpreter.memory.memory import Memory
from tests.selftest.interpreter.kernel_files import (
    NAN,
    PIXELS,
    Tensors,
    answer,
    arguments_of,
    compile_direct,
    launch_direct,
    launch_fast,
    make_memory,
    make_tensors,
)

ACCEPTED = {"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}
ORIGINAL = {"BLOCK_M": 64, "BLOCK_N": 32, "BLOCK_K": 32}


def grid_of(blocks: dict[str, int], batch: int = 1) -> tuple[int, int, int]:
    return -(-batch * PIXELS // blocks["BLOCK_M"]), -(-96 // blocks["BLOCK_N"]), 1


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return make_tensors(1)


def assert_right(memory: Memory, tensors: Tensors) -> None:
    error = (answer(memory, len(tensors.x)) - tensors.truth).abs()
    assert not error.isnan().any()
    assert (error <= tensors.bound).all()
    assert error.square().mean().sqrt() > 1e-4  # else products were not cut to TF32


@pytest.mark.parametrize(
    ("name", "blocks"), [("alexnet_conv1", ACCEPTED), ("alexnet_conv1_original", ORIGINAL)]
)
def test_direct_kernels(name: str, blocks: dict[str, int], tensors: Tensors) -> None:
    memory = make_memory(tensors)
    result = launch_direct(compile_direct(name, blocks), 1, memory, grid=grid_of(blocks))
    assert result.findings == ()
    assert result.programs_run == result.programs_total == np.prod(grid_of(blocks))
    assert result.written == {"out": 96 * PIXELS}
    assert result.busiest == {"out": blocks["BLOCK_M"] * blocks["BLOCK_N"]}
    assert (result.may_read, result.may_write) == ({"x", "weight", "bias"}, {"out"})
    assert_right(memory, tensors)


def test_the_fast_kernel(tensors: Tensors) -> None:
    memory = make_memory(tensors)
    pack, conv = launch_fast(1, memory)
    assert pack.findings == conv.findings == ()
    assert (pack.written, conv.written) == ({"packed": 96 * 400}, {"out": 96 * PIXELS})
    assert_right(memory, tensors)


def test_any_order_and_any_chunk_give_the_same_bits(tensors: Tensors) -> None:
    kernel, grid = compile_direct("alexnet_conv1", ACCEPTED), grid_of(ACCEPTED)
    places = [(x, y, 0) for y in range(grid[1]) for x in range(grid[0])]
    shuffled = [places[each] for each in np.random.default_rng(0).permutation(len(places))]
    answers = []
    for options in ({}, {"chunk": 7}, {"programs": places[::-1]}, {"programs": shuffled, "chunk": 50}):
        memory = make_memory(tensors)
        launch_direct(kernel, 1, memory, grid=grid, **options)
        answers.append(answer(memory, 1))
    assert all(torch.equal(answers[0], each) for each in answers[1:])


def test_three_images() -> None:
    three = make_tensors(3)
    memory = make_memory(three)
    result = launch_direct(
        compile_direct("alexnet_conv1", ACCEPTED), 3, memory, grid=grid_of(ACCEPTED, batch=3)
    )
    assert result.findings == ()
    assert_right(memory, three)


def test_a_launch_may_be_run_part_by_part(tensors: Tensors) -> None:
    """Its programs are those of one launch: who wrote what is known."""
    memory, kernel = make_memory(tensors), compile_direct("alexnet_conv1", ACCEPTED)
    run = LaunchRun(kernel, "conv", grid_of(ACCEPTED), arguments_of(kernel, 1), memory)
    run.run([(0, 0, 0), (3, 1, 0)])
    run.run([(94, 0, 0)])
    wrote, result = run.wrote("out"), run.result()
    sizes = {place: len(elements) for place, elements in wrote.items()}
    assert sizes == {(0, 0, 0): 32 * 64, (3, 1, 0): 32 * 32, (94, 0, 0): PIXELS % 32 * 64}
    assert run.count_wrote("out") == sizes
    assert (result.programs_run, result.findings) == (3, ())
    assert np.array_equal(np.sort(np.concatenate(list(wrote.values()))), memory.written("out"))


def test_a_read_past_the_end_of_x_is_found(tensors: Tensors) -> None:
    short = Tensors(tensors.x[:, :, :, :-1].contiguous(), tensors.weight, tensors.bias)
    memory = make_memory(short)
    kernel = compile_direct("alexnet_conv1", ACCEPTED)
    found = launch_direct(kernel, 1, memory, grid=grid_of(ACCEPTED)).findings
    assert {each.kind for each in found} == {"outside"}
    assert {each.buffer for each in found} == {"x"}


def test_the_largest_batch_costs_what_is_touched(tensors: Tensors) -> None:
    batch = 7394
    image, made = tensors.x.numpy().reshape(-1), []

    def fill(granule: int, into: np.ndarray) -> None:
        made.append(granule)
        into[:] = (image * (1 + granule % 5)).view(np.uint8)

    memory = Memory()
    memory.add("x", batch * image.nbytes, fill=fill, granule=image.nbytes)
    memory.add("out", 4 * batch * 96 * PIXELS, fill=poison(NAN))
    for name, each in (("weight", tensors.weight), ("bias", tensors.bias)):
        memory.add(name, 4 * each.numel(), content=each.numpy())
    grid = grid_of(ACCEPTED, batch)
    last = (batch - 1) * PIXELS // 32
    chosen = [(0, 0, 0), (5, 1, 0), (last, 1, 0), (last + 1, 0, 0), (grid[0] - 1, 1, 0)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = launch_direct(
        compile_direct("alexnet_conv1", ACCEPTED), batch, memory, grid=grid, programs=chosen
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19  # KiB
    assert result.findings == ()
    assert (result.programs_run, result.programs_total) == (5, grid[0] * 2)
    assert set(made) == {0, batch - 2, batch - 1}
    written = memory.written("out")
    assert len(written) == result.written["out"] == sum(result.stored["out"])
    pixel, channel = written % PIXELS, written // PIXELS % 96
    scale = torch.from_numpy(1 + written // (96 * PIXELS) % 5)
    bias = tensors.bias.double()[channel]
    truth = (tensors.truth.reshape(96, PIXELS)[channel, pixel] - bias) * scale + bias
    error = (torch.from_numpy(memory.gather("out", np.float32, written)) - truth).abs()
    assert (error <= scale * tensors.bound.reshape(96, PIXELS)[channel, pixel]).all()


def test_one_image_takes_a_moment(tensors: Tensors) -> None:
    kernel, memory = compile_direct("alexnet_conv1", ACCEPTED), make_memory(tensors)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        launch_direct(kernel, 1, memory, grid=grid_of(ACCEPTED))
        seconds.append(time.perf_counter() - start)
    assert kernel.chunk <= MAX_CHUNK
    assert min(seconds) < 1.0  # 0.06 to 0.1 on two quiet cores
