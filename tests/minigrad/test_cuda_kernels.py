"""Every CUDA kernel, executed on the CPU by the emulator, against the CPU kernels and the textbook.

Shapes are small and ragged: what goes wrong in a kernel goes wrong at an edge. Tolerances: docs/conventions.md, rows
`same-math`, `same-math-32`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from minigrad.kernels import cpu, emulate
from minigrad.kernels.emulate import CUDA_SOURCES, EmulatedModule

SAME_MATH = {"float32": 1e-5, "float64": 1e-12}
DTYPES = ("float32", "float64")
NAMES = (
    "attention", "bias_gelu", "cross_entropy", "dropout", "embedding", "matmul", "matmul_tensor_cores", "norms",
    "optimizers", "reductions", "softmax",
)  # fmt: skip
TEAMS = [(32, 1), (32, 3), (64, 1)]  # threads of a team, teams in a block: see cuda/team.h

Launch = Callable[..., None]


@pytest.fixture(scope="module")
def modules() -> dict[str, EmulatedModule]:
    try:
        emulate.find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))
    found = {name: EmulatedModule(CUDA_SOURCES / f"{name}.cu") for name in NAMES}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda module: module._build(None), found.values()))
    return found


@pytest.fixture(scope="module")
def launch(modules: dict[str, EmulatedModule]) -> Launch:
    kernels = {kernel: module for module in modules.values() for kernel in module.kernels}

    def run(kernel: str, grid: object, block: object, *args: object, shared_bytes: int = 0) -> None:
        kernels[kernel].launch(kernel, grid, block, args, shared_bytes)  # type: ignore[arg-type]

    return run


def empty(*shape: int, dtype: str) -> np.ndarray:
    """An array in which a number that the kernel forgot shows as NaN."""
    return np.full(shape, np.nan, dtype)


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Relative to the largest magnitude, as the tolerance table has it."""
    finite = np.where(np.isfinite(theirs), theirs, 0.0)
    scale = max(np.abs(finite).max(initial=0.0), 1e-30)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=SAME_MATH[str(ours.dtype)] * scale)


# ------------------------------------------------------------------------------------------------------ rows


@pytest.mark.parametrize(("block", "dtype"), list(product(TEAMS, DTYPES)))
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (2, 33), (3, 130)])
def test_softmax(launch: Launch, shape: tuple[int, int], block: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(shape[1])
    x, grad = (rng.normal(scale=5, size=shape).astype(dtype) for _ in range(2))
    y, dx = empty(*shape, dtype=dtype), empty(*shape, dtype=dtype)
    launch(f"softmax_forward_{dtype}", 2, block, x, y, *shape)
    launch(f"softmax_backward_{dtype}", 2, block, grad, y, dx, *shape)
    assert_close(y, cpu.softmax_forward(x))
    assert_close(dx, cpu.softmax_backward(grad, cpu.softmax_forward(x)))


@pytest.mark.parametrize("block", TEAMS)
def test_softmax_at_the_ends_of_the_range(launch: Launch, block: tuple[int, int]) -> None:
    inf = np.inf
    x = np.array([[1e4, -1e4, 0, 1e4], [-inf, 3, -inf, -inf], [-1e4, -1e4, -1e4, -1e4], [-inf] * 4], np.float32)
    y = empty(4, 4, dtype="float32")
    launch("softmax_forward_float32", 1, block, x, y, 4, 4)
    np.testing.assert_array_equal(y[:3], [[0.5, 0, 0, 0.5], [0, 1, 0, 0], [0.25] * 4])
    assert np.isnan(y[3]).all()  # as NumPy and PyTorch have it: there is no softmax of this row


@pytest.mark.parametrize(("block", "dtype"), list(product(TEAMS, DTYPES)))
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 130)])
def test_cross_entropy(launch: Launch, shape: tuple[int, int], block: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(shape[1])
    logits = rng.normal(scale=5, size=shape).astype(dtype)
    grad = rng.normal(size=shape[0]).astype(dtype)
    targets = rng.integers(0, shape[1], shape[0])
    losses, log_sums = empty(shape[0], dtype=dtype), empty(shape[0], dtype=dtype)
    dlogits = empty(*shape, dtype=dtype)
    launch(f"cross_entropy_forward_{dtype}", 2, block, logits, targets, losses, log_sums, *shape)
    launch(f"cross_entropy_backward_{dtype}", 2, block, grad, logits, targets, log_sums, dlogits, *shape)
    expected, sums = cpu.cross_entropy_forward(logits, targets)
    np.testing.assert_allclose(losses, expected, atol=SAME_MATH[dtype] * np.abs(logits).max())
    assert_close(log_sums, sums)
    # Against the probabilities times the gradient: of a single class nothing is left but rounding.
    dx = cpu.cross_entropy_backward(grad, logits, targets, sums)
    np.testing.assert_allclose(dlogits, dx, rtol=0, atol=SAME_MATH[dtype] * np.abs(grad).max())


def test_cross_entropy_is_finite_for_huge_logits(launch: Launch) -> None:
    logits = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [-np.inf, 2, -np.inf]], np.float32)
    targets = np.array([1, 0, 1])
    losses, log_sums = empty(3, dtype="float32"), empty(3, dtype="float32")
    launch("cross_entropy_forward_float32", 1, (32, 1), logits, targets, losses, log_sums, 3, 3)
    np.testing.assert_allclose(losses, [2e4, np.log(3), 0.0], atol=1e-3)  # the log of the sum is near -1e4


@pytest.mark.parametrize(("block", "dtype"), list(product(TEAMS, DTYPES)))
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (4, 100)])
def test_norms(launch: Launch, shape: tuple[int, int], block: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(shape[1])
    rows, columns = shape
    x, grad = (rng.normal(loc=3, size=shape).astype(dtype) for _ in range(2))
    weight, bias = (rng.normal(size=columns).astype(dtype) for _ in range(2))
    y, x_hat, dx = (empty(*shape, dtype=dtype) for _ in range(3))
    inverse = empty(rows, 1, dtype=dtype)
    eps = np.dtype(dtype).type(1e-5)
    launch(f"layer_norm_forward_{dtype}", 2, block, x, weight, bias, y, x_hat, inverse, eps, *shape)
    launch(f"layer_norm_backward_{dtype}", 2, block, grad, x_hat, inverse, weight, dx, *shape)
    expected, hat, deviation = cpu.layer_norm_forward(x, weight, bias, 1e-5)
    assert_close(y, expected)
    assert_close(inverse, deviation)
    np.testing.assert_allclose(dx, cpu.layer_norm_backward(grad, hat, deviation, weight)[0], atol=50 * SAME_MATH[dtype])
    launch(f"rms_norm_forward_{dtype}", 2, block, x, weight, y, x_hat, inverse, eps, *shape)
    launch(f"rms_norm_backward_{dtype}", 2, block, grad, x_hat, inverse, weight, dx, *shape)
    expected, hat, rms = cpu.rms_norm_forward(x, weight, 1e-5)
    assert_close(y, expected)
    assert_close(dx, cpu.rms_norm_backward(grad, hat, rms, weight)[0])


# ------------------------------------------------------------------------------------------------ reductions


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 31, 64, 1000])
def test_sums(launch: Launch, n: int, dtype: str) -> None:
    x = np.random.default_rng(n).normal(size=n).astype(dtype)
    for name, expected in (("sum", x.sum()), ("sum_of_squares", (x * x).sum())):
        partial, total = empty(3, dtype=dtype), empty(1, dtype=dtype)
        launch(f"{name}_{dtype}", 3, 64, x, partial, n)
        launch(f"sum_{dtype}", 1, 32, partial, total, 3)
        np.testing.assert_allclose(total[0], expected, atol=SAME_MATH[dtype] * max(n, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (20, 33), (70, 5)])
@pytest.mark.parametrize("runs", [1, 3])
def test_column_sums(launch: Launch, shape: tuple[int, int], runs: int, dtype: str) -> None:
    x, times = np.random.default_rng(runs).normal(size=(2, *shape)).astype(dtype)
    grid = (-(-shape[1] // 32), runs)
    for args, expected in (((x,), x.sum(0)), ((x, times), (x * times).sum(0))):
        name = "column_sum" if len(args) == 1 else "column_sum_of_product"
        partial, total = empty(runs, shape[1], dtype=dtype), empty(shape[1], dtype=dtype)
        launch(f"{name}_{dtype}", grid, (32, 8), *args, partial, *shape)
        launch(f"column_sum_{dtype}", (grid[0], 1), (32, 8), partial, total, runs, shape[1])
        np.testing.assert_allclose(total, expected, atol=SAME_MATH[dtype] * shape[0])


# ---------------------------------------------------------------------------------------------------- matmul

LAUNCH_OF = {  # variant: (columns of C a block computes, rows, block)
    "naive": (16, 4, (16, 4)),
    "tiled": (16, 16, (16, 16)),
    "registers": (64, 64, 256),
}


@pytest.mark.parametrize("variant", list(LAUNCH_OF))
@pytest.mark.parametrize(("transposed_a", "transposed_b"), list(product([False, True], repeat=2)))
@pytest.mark.parametrize(
    ("M", "N", "K", "dtype"), [(1, 1, 1, "float64"), (17, 5, 40, "float32"), (7, 70, 16, "float64")]
)
def test_matmul(
    launch: Launch, variant: str, transposed_a: bool, transposed_b: bool, M: int, N: int, K: int, dtype: str
) -> None:
    rng = np.random.default_rng(M)
    a, b = rng.normal(size=(2, M, K)).astype(dtype), rng.normal(size=(K, N)).astype(dtype)  # a batch of 2, one b
    c = empty(2, M, N, dtype=dtype)
    across, down, block = LAUNCH_OF[variant]
    stored_a = np.ascontiguousarray(a.swapaxes(1, 2) if transposed_a else a)
    stored_b = np.ascontiguousarray(b.T if transposed_b else b)
    grid = (-(-N // across), -(-M // down), 2)
    flags = (np.bool_(transposed_a), np.bool_(transposed_b))
    launch(f"matmul_{variant}_{dtype}", grid, block, stored_a, stored_b, c, M, N, K, *flags, M * K, 0, M * N)
    assert_close(c, a @ b)


@pytest.mark.parametrize(("transposed_a", "transposed_b"), list(product([False, True], repeat=2)))
@pytest.mark.parametrize(("M", "N", "K"), [(1, 1, 1), (70, 20, 33)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_matmul_on_tensor_cores(
    launch: Launch, transposed_a: bool, transposed_b: bool, M: int, N: int, K: int, dtype: str
) -> None:
    """Products of 16-bit numbers are exact in float32: only the order of the sums differs."""
    number = np.float16 if dtype == "float16" else ml_dtypes.bfloat16
    rng = np.random.default_rng(M)
    a, b = rng.normal(size=(M, K)).astype(number), rng.normal(size=(K, N)).astype(number)
    c = empty(M, N, dtype="float32")
    stored = [np.ascontiguousarray(x.T if flag else x) for x, flag in ((a, transposed_a), (b, transposed_b))]
    flags = (np.bool_(transposed_a), np.bool_(transposed_b))
    grid = (-(-N // 64), -(-M // 64), 1)
    launch(f"matmul_tensor_cores_{dtype}", grid, 128, *stored, c, M, N, K, *flags, 0, 0, 0)
    assert_close(c, a.astype(np.float32) @ b.astype(np.float32))


# ------------------------------------------------------------------------------------------------- attention


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys", "width"), [(1, 1, 1), (5, 33, 3), (40, 40, 40)])
def test_attention(launch: Launch, queries: int, keys: int, width: int, causal: bool, dtype: str) -> None:
    if causal and queries != keys:
        keys = queries
    rng = np.random.default_rng(keys)
    query, grad = rng.normal(size=(2, 2, queries, width)).astype(dtype)
    key, value = rng.normal(size=(2, 2, keys, width)).astype(dtype)
    out, dquery = (empty(2, queries, width, dtype=dtype) for _ in range(2))
    dkey, dvalue = (empty(2, keys, width, dtype=dtype) for _ in range(2))
    log_sums, sums = (empty(2, queries, 1, dtype=dtype) for _ in range(2))
    scalar = np.dtype(dtype).type
    sizes = (queries, keys, width, np.bool_(causal), scalar(1 / np.sqrt(width)))
    tile, weights = 32 * (width + 1) * scalar().nbytes, 8 * 32 * scalar().nbytes
    block = (32, 8)
    launch(
        f"attention_forward_{dtype}", (-(-queries // 32), 2), block, query, key, value, out, log_sums, *sizes,
        shared_bytes=3 * tile + weights,
    )  # fmt: skip
    launch(f"attention_row_sums_{dtype}", 2, (32, 2), grad, out, sums, 2 * queries, width)
    saved = (grad, query, key, value, log_sums, sums)
    launch(
        f"attention_backward_query_{dtype}", (-(-queries // 32), 2), block, *saved, dquery, *sizes,
        shared_bytes=4 * tile + weights,
    )  # fmt: skip
    launch(
        f"attention_backward_key_value_{dtype}", (-(-keys // 32), 2), block, *saved, dkey, dvalue, *sizes,
        shared_bytes=4 * tile + 2 * weights,
    )  # fmt: skip
    expected, probabilities = cpu.attention_forward(query, key, value, causal)
    assert_close(out, expected)
    gradients = cpu.attention_backward(grad, query, key, value, probabilities)
    for ours, theirs in zip((dquery, dkey, dvalue), gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=10 * SAME_MATH[dtype])


# --------------------------------------------------------------------------------------- elementwise and rest


@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_gelu(launch: Launch, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, grad = rng.normal(scale=3, size=(2, 7, 5)).astype(dtype)
    bias = rng.normal(size=5).astype(dtype)
    y, dx = empty(7, 5, dtype=dtype), empty(7, 5, dtype=dtype)
    launch(f"bias_gelu_forward_{dtype}", 2, 32, x, bias, y, x.size, 5)
    launch(f"bias_gelu_backward_{dtype}", 2, 32, grad, x, bias, dx, x.size, 5)
    assert_close(y, cpu.gelu_forward(x + bias, "tanh"))
    assert_close(dx, cpu.gelu_backward(grad, x + bias, "tanh"))


def test_philox_gives_the_published_numbers(launch: Launch) -> None:
    """The known answers that come with the authors' own library, for counters and keys of 0, of ones, and of pi."""
    ones = 0xFFFFFFFF
    cases = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones,) * 4, (ones,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, expected in cases:
        out = np.zeros(4, np.uint32)
        launch("philox_numbers", 1, 1, np.array(counter, np.uint32), out, *map(np.uint32, key), 1)
        assert tuple(out) == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 4, 4001])
def test_dropout_keeps_the_share_it_should_and_the_same_one_again(launch: Launch, n: int, dtype: str) -> None:
    p, scalar = 0.3, np.dtype(dtype).type
    masks = []
    for grid, call in ((2, 7), (3, 7), (2, 8)):
        y = empty(n, dtype=dtype)
        settings = (np.uint64(5), np.uint64(call), np.uint32(int(p * 2**32)), scalar(1 / (1 - p)))
        launch(f"dropout_{dtype}", grid, 32, np.ones(n, dtype), y, n, *settings)
        masks.append(y)
    assert set(np.unique(masks[0])) <= {scalar(0), scalar(1 / (1 - p))}
    np.testing.assert_array_equal(masks[0], masks[1])  # whatever the grid
    if n > 1000:
        assert abs((masks[0] == 0).mean() - p) < 4 * np.sqrt(p * (1 - p) / n)
        both = ((masks[0] == 0) & (masks[2] == 0)).mean()  # another call: independent
        assert abs(both - p * p) < 4 * np.sqrt(p * p / n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 40])
def test_embedding(launch: Launch, columns: int, dtype: str) -> None:
    rng = np.random.default_rng(columns)
    table = rng.normal(size=(6, columns)).astype(dtype)
    indices = np.array([4, 0, 4, 4, 2, 0, 5])
    grad = rng.normal(size=(7, columns)).astype(dtype)
    y = empty(7, columns, dtype=dtype)
    launch(f"embedding_forward_{dtype}", 2, (32, 2), table, indices, y, 7, columns)
    np.testing.assert_array_equal(y, table[indices])
    expected = cpu.embedding_backward(grad, indices, 6)
    by_atomics, by_sorting = np.zeros((2, 6, columns), dtype)
    launch(f"embedding_backward_atomic_{dtype}", 2, (32, 2), grad, indices, by_atomics, 7, columns)
    assert_close(by_atomics, expected)
    order = np.argsort(indices, kind="stable")
    launch(f"embedding_backward_sorted_{dtype}", 2, (32, 2), grad, indices, order, by_sorting, 7, columns)
    assert_close(by_sorting, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_optimizer_updates(launch: Launch, dtype: str) -> None:
    rng = np.random.default_rng(1)
    p, g, m = rng.normal(size=(3, 100)).astype(dtype)
    v = rng.random(100).astype(dtype)
    lr, beta1, beta2, eps, decay, t = 0.1, 0.9, 0.99, 1e-8, 0.01, 3
    mean, square = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    corrections = (1 - beta1**t, 1 - beta2**t)
    expected = p * (1 - lr * decay) - lr * mean / corrections[0] / (np.sqrt(square / corrections[1]) + eps)
    scalar = np.dtype(dtype).type
    launch(f"adamw_{dtype}", 2, 32, p, g, m, v, 100, *map(scalar, (lr, beta1, beta2, eps, decay, *corrections)))
    for ours, theirs in ((p, expected), (m, mean), (v, square)):
        assert_close(ours, theirs)
    velocity = m.copy()
    moved = 0.9 * velocity + g + 0.01 * p
    expected = p - 0.1 * moved
    launch(f"sgd_{dtype}", 2, 32, p, g, velocity, 100, *map(scalar, (0.1, 0.9, 0.01)))
    assert_close(velocity, moved)
    assert_close(p, expected)


# ------------------------------------------------------------------------------------------------ sanitizers


@pytest.fixture(scope="module")
def sanitizers() -> None:
    if not emulate.sanitizers_work():
        pytest.skip("the compiler has no sanitizer libraries (install libasan and libtsan)")


@pytest.mark.usefixtures("sanitizers")
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_kernels_with_shared_memory_are_clean(modules: dict[str, EmulatedModule], sanitizer: str) -> None:
    x, y = np.ones((2, 3, 40), np.float32)
    report = modules["softmax"].check("softmax_forward_float32", 2, (64, 1), (x, y, 3, 40), sanitizer=sanitizer)
    assert report.clean, report.text
    report = modules["matmul"].check(
        "matmul_registers_float32", (1, 1, 1), 256, matmul_arguments(), sanitizer=sanitizer
    )
    assert report.clean, report.text


def matmul_arguments() -> tuple[object, ...]:
    a, b, c = np.ones((20, 33), np.float32), np.ones((33, 17), np.float32), np.zeros((20, 17), np.float32)
    return a, b, c, 20, 17, 33, np.bool_(False), np.bool_(False), 0, 0, 0


@pytest.mark.usefixtures("sanitizers")
def test_a_missing_barrier_is_found_although_the_numbers_may_be_right(tmp_path: Path) -> None:
    source = (CUDA_SOURCES / "matmul.cu").read_text(encoding="utf-8")
    good = "sum += tile_a[y][q] * tile_b[q][x];\n        __syncthreads();\n"
    assert good in source
    (tmp_path / "racy.cu").write_text(source.replace(good, good.replace("        __syncthreads();\n", "")))
    racy = EmulatedModule(tmp_path / "racy.cu")
    report = racy.check("matmul_tiled_float32", (2, 2, 1), (16, 16), matmul_arguments(), sanitizer="thread")
    assert "data race" in report.summary


@pytest.mark.usefixtures("sanitizers")
def test_a_forgotten_edge_is_found(tmp_path: Path) -> None:
    source = (CUDA_SOURCES / "matmul.cu").read_text(encoding="utf-8")
    edge = "if (i + y < s.M && j + x < s.N) c["
    assert edge in source
    (tmp_path / "past.cu").write_text(source.replace(edge, "c["))
    past = EmulatedModule(tmp_path / "past.cu")
    report = past.check("matmul_tiled_float32", (2, 2, 1), (16, 16), matmul_arguments(), sanitizer="address")
    assert "heap-buffer-overflow" in report.summary
