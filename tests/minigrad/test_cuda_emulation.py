"""CUDA kernels executed on the CPU: GELU's numbers, and an emulator that must see the classic mistakes.

Tolerances: docs/conventions.md, rows `outside`, `same-math`, `same-math-32`, `grad`.
"""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from minigrad.kernels import emulate
from minigrad.kernels.emulate import CUDA_SOURCES, EmulatedModule

TEST_SOURCES = Path(__file__).parents[1] / "cuda"
OUTSIDE = 1e-10
SAME_MATH = {"float32": 1e-5, "float64": 1e-12}
FORMS = ("exact", "tanh")


@pytest.fixture(scope="module")
def modules() -> dict[str, EmulatedModule]:
    """Both sources, each build compiled once (seconds; later runs find them in the cache)."""
    try:
        emulate.find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))
    found = {
        "gelu": EmulatedModule(CUDA_SOURCES / "gelu.cu"),
        "small": EmulatedModule(TEST_SOURCES / "blocks_and_warps.cu"),
    }
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda module: module._build(None), found.values()))
    return found


@pytest.fixture(scope="module")
def gelu(modules: dict[str, EmulatedModule]) -> EmulatedModule:
    return modules["gelu"]


@pytest.fixture(scope="module")
def small(modules: dict[str, EmulatedModule]) -> EmulatedModule:
    return modules["small"]


@pytest.fixture(scope="module")
def sanitized(modules: dict[str, EmulatedModule]) -> dict[str, EmulatedModule]:
    if not emulate.sanitizers_work():
        pytest.skip("the compiler has no sanitizer libraries (install libasan and libtsan)")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda build: build[0]._build(build[1]), product(modules.values(), ("thread", "address"))))
    return modules


# ----------------------------------------------------------------------------------------------------- GELU


def reference(form: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """GELU and its slope in float64, from the textbook formulas."""
    x = x.astype(np.float64)
    if form == "exact":
        return x * ndtr(x), ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    tanh = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    slope = (1 + tanh) / 2 + x / 2 * (1 - tanh**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return x / 2 * (1 + tanh), slope


def run_forward(gelu: EmulatedModule, form: str, x: np.ndarray, grid: int = 2, block: int = 32) -> np.ndarray:
    y = np.full_like(x, np.nan)
    gelu.launch(f"gelu_forward_{form}_{x.dtype}", grid, block, (x, y, x.size))
    return y


def run_backward(
    gelu: EmulatedModule, form: str, grad: np.ndarray, x: np.ndarray, grid: int = 2, block: int = 32
) -> np.ndarray:
    dx = np.full_like(x, np.nan)
    gelu.launch(f"gelu_backward_{form}_{x.dtype}", grid, block, (grad, x, dx, x.size))
    return dx


def assert_close(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Relative to the largest magnitude, as the tolerance table has it."""
    scale = np.abs(theirs).max(initial=0.0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 8, 31, 33, 257, 1000])
def test_gelu_against_textbook(gelu: EmulatedModule, form: str, dtype: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x, grad = (rng.normal(scale=3, size=n).astype(dtype) for _ in range(2))
    y, slope = reference(form, x)
    assert_close(run_forward(gelu, form, x), y, SAME_MATH[dtype])
    assert_close(run_backward(gelu, form, grad, x), grad * slope, SAME_MATH[dtype])


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 200), grid=st.integers(1, 4), block=st.integers(1, 40), form=st.sampled_from(FORMS))
def test_gelu_on_any_grid_writes_its_n_elements_only(
    gelu: EmulatedModule, n: int, grid: int, block: int, form: str
) -> None:
    x = np.random.default_rng(n).normal(size=n)
    memory = np.full(n + 8, 7.0)
    gelu.launch(f"gelu_forward_{form}_float64", grid, block, (x, memory[:n], n))
    assert_close(memory[:n], reference(form, x)[0], SAME_MATH["float64"])
    np.testing.assert_array_equal(memory[n:], 7.0)


def test_exact_form_keeps_its_precision_in_the_left_tail(gelu: EmulatedModule) -> None:
    x = np.linspace(-30, -5, 101)
    np.testing.assert_allclose(run_forward(gelu, "exact", x), reference("exact", x)[0], rtol=OUTSIDE)


@pytest.mark.parametrize("form", FORMS)
def test_backward_is_the_derivative_of_its_own_forward(gelu: EmulatedModule, form: str) -> None:
    rng = np.random.default_rng(1)
    x, grad, direction = rng.normal(scale=2, size=(3, 301))
    step = 1e-5
    difference = run_forward(gelu, form, x + step * direction) - run_forward(gelu, form, x - step * direction)
    numeric = np.dot(grad, difference) / (2 * step)
    np.testing.assert_allclose(np.dot(run_backward(gelu, form, grad, x), direction), numeric, rtol=1e-6)  # grad


def test_the_two_forms_are_told_apart(gelu: EmulatedModule) -> None:
    x = np.linspace(-4, 4, 801)
    ones = np.ones_like(x)
    gap = run_backward(gelu, "exact", ones, x) - run_backward(gelu, "tanh", ones, x)
    assert 8.5e-4 < np.abs(gap).max() < 8.8e-4


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_of_huge_values_and_nan(gelu: EmulatedModule, form: str, dtype: str) -> None:
    x = np.array([-1e38, -1e20, -100, 0, 100, 1e20, 1e38, np.nan], dtype)
    np.testing.assert_array_equal(run_forward(gelu, form, x), np.maximum(x, 0))
    slope = run_backward(gelu, form, np.ones_like(x), x)
    np.testing.assert_array_equal(slope, np.array([0, 0, 0, 0.5, 1, 1, 1, np.nan], dtype))


@pytest.mark.parametrize(("form", "dtype"), list(product(FORMS, ["float32", "float64"])))
def test_gelu_is_clean_under_both_sanitizers(sanitized: dict[str, EmulatedModule], form: str, dtype: str) -> None:
    x, grad, out = np.ones((3, 45), dtype)
    for name, arrays in (("forward", (x, out)), ("backward", (grad, x, out))):
        for sanitizer in ("address", "thread"):
            kernel_name = f"gelu_{name}_{form}_{dtype}"
            report = sanitized["gelu"].check(kernel_name, 2, 16, (*arrays, x.size), sanitizer=sanitizer)
            assert report.clean, report.text


# ---------------------------------------------------------------------------------------- shared memory, barriers


@pytest.mark.parametrize("block", [1, 2, 8, 64])
def test_block_sum(small: EmulatedModule, block: int) -> None:
    x = np.random.default_rng(0).integers(-9, 9, size=(5, block)).astype(np.float32)
    sums = np.zeros(5, np.float32)
    small.launch("block_sum", 5, block, (x, sums))
    np.testing.assert_array_equal(sums, x.sum(axis=1))


@pytest.mark.parametrize("block", [1, 5, 33, 300])
def test_dynamic_shared_memory(small: EmulatedModule, block: int) -> None:
    x = np.arange(3 * block, dtype=np.int32).reshape(3, block)
    y = np.zeros_like(x)
    small.launch("block_reverse", 3, block, (x, y), shared_bytes=4 * block)
    np.testing.assert_array_equal(y, x[:, ::-1])


def test_dynamic_shared_memory_does_not_begin_as_zero(small: EmulatedModule) -> None:
    y = np.zeros(1, np.float32)
    small.launch("read_unwritten", 1, 1, (y,), shared_bytes=4)
    assert np.isnan(y[0])


def test_barrier_that_some_threads_miss_is_an_error_not_a_hang(small: EmulatedModule) -> None:
    with pytest.raises(RuntimeError, match=r"5 thread\(s\), the first 0, in __syncthreads at line \d+"):
        small.launch("barrier_in_a_branch", 1, 8, (np.zeros(8, np.int32),))


def test_barriers_of_two_branches_do_not_meet(small: EmulatedModule) -> None:
    with pytest.raises(RuntimeError, match="__syncthreads at line"):
        small.launch("barriers_of_two_branches", 1, 8, (np.zeros(8, np.int32),))


def test_lane_outside_its_mask(small: EmulatedModule) -> None:
    small.launch("lane_outside_its_mask", 1, 16, (np.zeros(16, np.int32),))
    with pytest.raises(RuntimeError, match="not in its own mask in __shfl_sync"):
        small.launch("lane_outside_its_mask", 1, 32, (np.zeros(32, np.int32),))


# ------------------------------------------------------------------------------------------- warps and atomics


def shuffled_by_definition(x: np.ndarray, by: int, width: int) -> np.ndarray:
    """The CUDA C++ Programming Guide's table of the four shuffles; NaN where a lane that is not there is read."""
    rows = np.full((4, len(x)), np.nan)
    for t in range(len(x)):
        warp, lane = t - t % 32, t % 32
        first, last = lane - lane % width, lane - lane % width + width - 1
        sources = (
            first + by % width,
            lane - by if lane - by >= first else lane,
            lane + by if lane + by <= last else lane,
            lane ^ by if lane ^ by <= last else lane,
        )
        for row, source in zip(rows, sources, strict=True):
            if warp + source < len(x):
                row[t] = x[warp + source]
    return rows


@pytest.mark.parametrize("block", [1, 5, 32, 50])
@pytest.mark.parametrize(("by", "width"), [(1, 32), (16, 32), (3, 8), (2, 4), (9, 8)])
def test_shuffles(small: EmulatedModule, block: int, by: int, width: int) -> None:
    x = np.random.default_rng(block).normal(size=block)
    y = np.zeros((4, block))
    small.launch("shuffles", 1, block, (x, y, by, width))
    np.testing.assert_array_equal(y, shuffled_by_definition(x, by, width))


@pytest.mark.parametrize("block", [1, 20, 32, 64])
def test_votes_of_half_warps(small: EmulatedModule, block: int) -> None:
    x = np.random.default_rng(block).integers(0, 2, size=block).astype(np.int32)
    x[16:32] = 3  # true for all, by another number than 1
    y = np.zeros((3, block), np.uint32)
    small.launch("votes", 1, block, (x, y))
    for first in range(0, block, 16):
        half = x[first : first + 16] != 0
        ballot = sum(1 << (first % 32 + lane) for lane in np.flatnonzero(half).tolist())
        expected = np.array([ballot, half.any(), half.all()], np.uint32)
        np.testing.assert_array_equal(y[:, first : first + 16], np.repeat(expected[:, None], len(half), axis=1))


def test_atomics(small: EmulatedModule) -> None:
    x = np.random.default_rng(0).integers(-99, 99, size=90).astype(np.int32)
    total, count, extremes = np.zeros(1, np.float32), np.zeros(1, np.uint32), np.zeros(2, np.int32)
    small.launch("tally", 3, 32, (x, total, count, extremes, x.size))
    assert (total[0], count[0]) == (x.sum(), 90)
    assert extremes.tolist() == [x.min(), x.max()]


def test_grids_and_blocks_of_three_axes(small: EmulatedModule) -> None:
    y = np.zeros(2 * 3 * 4 * 5 * 2 * 3, np.int32)
    small.launch("coordinates", (2, 3, 4), (5, 2, 3), (y,))
    np.testing.assert_array_equal(y, np.arange(y.size))


# -------------------------------------------------------------------------------------------------- sanitizers


def line_of(text: str) -> int:
    """The line of the test kernels that holds `text`."""
    lines = (TEST_SOURCES / "blocks_and_warps.cu").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_address_sanitizer_finds_a_write_past_the_end(sanitized: dict[str, EmulatedModule]) -> None:
    y = np.zeros(20, np.float32)
    report = sanitized["small"].check("fill_one_too_many", 1, 32, (y, y.size))
    assert not report.clean
    assert "heap-buffer-overflow" in report.summary
    assert f"blocks_and_warps.cu:{line_of('if (i <= n)')}" in report.summary
    assert sanitized["small"].check("fill_one_too_many", 1, 32, (y, y.size - 1)).clean


def test_address_sanitizer_knows_the_bounds_of_shared_memory(sanitized: dict[str, EmulatedModule]) -> None:
    y = np.zeros(65, np.float32)
    assert "global-buffer-overflow" in sanitized["small"].check("static_shared_overrun", 1, 65, (y,)).summary
    assert sanitized["small"].check("static_shared_overrun", 1, 64, (y,)).clean
    x = np.zeros(8, np.int32)
    for shared_bytes, clean in ((32, True), (28, False)):
        report = sanitized["small"].check("block_reverse", 1, 8, (x, x.copy()), shared_bytes=shared_bytes)
        assert report.clean == clean, report.text


@pytest.mark.parametrize(
    ("kernel_name", "arrays", "block", "shared_bytes"),
    [
        ("block_sum_without_barrier", (np.ones(64, np.float32), np.ones(1, np.float32)), 64, 0),
        ("block_reverse_without_barrier", (np.ones(8, np.int32), np.ones(8, np.int32)), 8, 32),
        ("warp_barrier_between_warps", (np.ones(1, np.int32),), 64, 0),
        ("tally_without_atomics", (np.ones(1, np.float32),), 4, 0),
    ],
)
def test_thread_sanitizer_finds_races(
    sanitized: dict[str, EmulatedModule],
    kernel_name: str,
    arrays: tuple[np.ndarray, ...],
    block: int,
    shared_bytes: int,
) -> None:
    report = sanitized["small"].check(kernel_name, 1, block, arrays, shared_bytes, sanitizer="thread")
    assert not report.clean
    assert "data race" in report.summary
    assert "blocks_and_warps.cu:" in report.summary


@pytest.mark.parametrize(
    ("kernel_name", "arrays", "shared_bytes"),
    [
        ("block_sum", (np.ones(128, np.float32), np.ones(2, np.float32)), 0),
        ("block_reverse", (np.ones(128, np.int32), np.ones(128, np.int32)), 256),
        ("shuffles", (np.ones(64), np.ones(256), 1, 32), 0),
        ("votes", (np.ones(64, np.int32), np.ones(192, np.uint32)), 0),
        ("tally", tuple(np.ones(2, d) for d in (np.int32, np.float32, np.uint32, np.int32)) + (2,), 0),
    ],
)
def test_thread_sanitizer_is_silent_on_correct_kernels(
    sanitized: dict[str, EmulatedModule], kernel_name: str, arrays: tuple[np.ndarray, ...], shared_bytes: int
) -> None:
    blocks = 1 if kernel_name in ("shuffles", "votes") else 2
    report = sanitized["small"].check(kernel_name, blocks, 64, arrays, shared_bytes, sanitizer="thread")
    assert report.clean, report.text


def test_a_deadlock_under_a_sanitizer_is_the_same_error(sanitized: dict[str, EmulatedModule]) -> None:
    with pytest.raises(RuntimeError, match=r"barrier_in_a_branch: block .* __syncthreads at line"):
        sanitized["small"].check("barrier_in_a_branch", 1, 8, (np.zeros(8, np.int32),), sanitizer="thread")


# ------------------------------------------------------------------------------------------ threads in turn


@pytest.mark.parametrize("order", ["first", "last"])
def test_with_all_barriers_the_order_does_not_matter(small: EmulatedModule, order: emulate.Order) -> None:
    """Row `exact`: whole numbers."""
    x, sums = np.arange(128, dtype=np.float32), np.full(2, np.nan, np.float32)
    small.launch("block_sum", 2, 64, (x, sums), order=order)
    np.testing.assert_array_equal(sums, x.reshape(2, 64).sum(1))
    numbers, reverse = np.arange(128, dtype=np.int32), np.zeros(128, np.int32)
    small.launch("block_reverse", 2, 64, (numbers, reverse), shared_bytes=256, order=order)
    np.testing.assert_array_equal(reverse, numbers.reshape(2, 64)[:, ::-1].ravel())
    y = np.full(256, np.nan)
    small.launch("shuffles", 1, 64, (np.arange(64.0), y, 1, 32), order=order)
    expected = np.full(256, np.nan)
    small.launch("shuffles", 1, 64, (np.arange(64.0), expected, 1, 32))
    np.testing.assert_array_equal(y, expected)


def test_without_a_barrier_one_of_the_orders_gives_other_numbers_each_time(
    small: EmulatedModule,
) -> None:
    x = np.arange(64, dtype=np.float32)

    def total(order: emulate.Order) -> float:
        sums = np.zeros(1, np.float32)
        small.launch("block_sum_without_barrier", 1, 64, (x, sums), order=order)
        return float(sums[0])

    assert {order: total(order) for order in ("first", "last")} == {"first": 63.0, "last": 2016.0}
    assert all(total("first") == 63.0 for _ in range(5))
    assert x.sum() == 2016.0  # the other order hides it: that is why there are two


@pytest.mark.parametrize("order", ["first", "last"])
def test_a_deadlock_in_turn_is_the_same_error(small: EmulatedModule, order: emulate.Order) -> None:
    with pytest.raises(RuntimeError, match=r"barrier_in_a_branch: block .* __syncthreads at line"):
        small.launch("barrier_in_a_branch", 1, 8, (np.zeros(8, np.int32),), order=order)


# --------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kernel_name": "gelu"}, ValueError, "kernel_name='gelu' is not in gelu.cu, which has: gelu_forward"),
        ({"grid": 0}, ValueError, "grid=0 must be one to three numbers of at least 1"),
        ({"block": (64, 32)}, ValueError, r"block=\(64, 32\) has 2048 threads, at most 1024"),
        ({"order": "random"}, ValueError, "order='random' is not known; use one of together, first, last"),
        ({"shared_bytes": -1}, ValueError, "shared_bytes=-1 must lie between 0 and 232448"),
        ({"args": (np.ones(2),)}, TypeError, "takes 3 arguments"),
        ({"args": (np.ones(2), np.ones(2), 2)}, TypeError, "argument 0 .* array of float32, got an array of float64"),
        ({"args": (np.ones(4, "f4")[::2], np.ones(2, "f4"), 2)}, TypeError, "argument 0 .* C-contiguous"),
        ({"args": (np.ones(2, "f4"), np.ones(2, "f4"), 2.5)}, TypeError, "argument 2 .* cannot hold 2.5"),
        ({"args": (np.ones(2, "f4"), [1.0], 2)}, TypeError, "argument 1 .* got list"),
    ],
)
def test_bad_launches_are_refused(
    gelu: EmulatedModule, change: dict[str, object], error: type[Exception], message: str
) -> None:
    x = np.ones(2, np.float32)
    launch = {"kernel_name": "gelu_forward_exact_float32", "grid": 1, "block": 2, "args": (x, x.copy(), 2)}
    with pytest.raises(error, match=message):
        gelu.launch(**(launch | change))  # type: ignore[arg-type]


def test_read_only_output_is_refused(gelu: EmulatedModule) -> None:
    x = np.ones(2, np.float32)
    x.flags.writeable = False
    gelu.launch("gelu_forward_exact_float32", 1, 2, (x, np.ones(2, np.float32), 2))
    with pytest.raises(TypeError, match=r"argument 1 .* read-only"):
        gelu.launch("gelu_forward_exact_float32", 1, 2, (x, x, 2))


def test_unknown_sanitizer_is_refused(gelu: EmulatedModule) -> None:
    with pytest.raises(ValueError, match="sanitizer='memory' is not known"):
        gelu.check("gelu_forward_exact_float32", 1, 1, (np.ones(1, "f4"),) * 2 + (1,), sanitizer="memory")  # type: ignore[arg-type]


def test_source_that_is_not_cuda_is_refused_with_its_line(gelu: EmulatedModule, tmp_path: Path) -> None:
    source = tmp_path / "broken.cu"
    source.write_text('extern "C" __global__ void broken(float* y) {\n    y[0] = undeclared;\n}\n')
    with pytest.raises(RuntimeError, match=r"broken.cu:2:.*undeclared"):
        EmulatedModule(source).launch("broken", 1, 1, (np.ones(1, np.float32),))


def test_missing_compiler_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    emulate.find_compiler.cache_clear()
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"found none; install g\+\+ 11 or newer"):
        emulate.find_compiler()


def test_a_built_kernel_is_not_compiled_again(gelu: EmulatedModule, monkeypatch: pytest.MonkeyPatch) -> None:
    emulate.find_compiler()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the compiler was called")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert EmulatedModule(gelu.source_path).signature("gelu_forward_tanh_float64")[0] == "const float64*"
