"""kernels/gpu.py, its launches included, on a machine without a GPU: CuPy is NumPy here, the GPU is the emulator.

Each function is called as the CPU's namesake and must return the same. Tolerances: docs/conventions.md, rows
`same-math`, `same-math-32`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigrad.kernels import cpu, emulate, gpu, launch_cuda
from minigrad.kernels.emulate import CUDA_SOURCES, EmulatedModule

SAME_MATH = {"float32": 1e-5, "float64": 1e-12}
MODULES = {module.source: module for module in map(EmulatedModule, sorted(CUDA_SOURCES.glob("*.cu")))}


class RawModule:
    """What CuPy makes of a source; here the emulator's module of the same text."""

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        self.module = MODULES[code]

    def get_function(self, name: str) -> Kernel:
        return Kernel(self.module, name)


class Kernel:
    max_dynamic_shared_size_bytes = launch_cuda.DEFAULT_SHARED_BYTES

    def __init__(self, module: EmulatedModule, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, grid: Any, block: Any, args: Any, shared_mem: int = 0) -> None:
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        self.module.launch(self.name, grid, block, args, shared_mem)


@pytest.fixture
def emulated_cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module named cupy that is NumPy with the emulator for a GPU: it runs gpu.py's own launches."""
    try:
        emulate.find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))
    cupy = ModuleType("cupy")
    cupy.__dict__.update(vars(np))
    cupy.__dict__.update(RawModule=RawModule)
    cupy.__dict__.update(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 1)))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    clear_caches()
    yield
    clear_caches()


def clear_caches() -> None:
    launch_cuda.load_source.cache_clear()
    launch_cuda.require_gpu.cache_clear()


def normal(*shape: int, dtype: str = "float64", seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def assert_same(ours: Any, theirs: Any) -> None:
    """Equal shapes, dtypes and values, of one array or several."""
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)
        return
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    scale = max(np.abs(theirs).max(initial=0.0), 1.0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=10 * SAME_MATH[str(theirs.dtype)] * scale)


def strided(*shape: int, dtype: str) -> np.ndarray:
    """Values whose memory lies in another order than their axes."""
    return normal(*shape[::-1], dtype=dtype).T


def normals(count: int, *shape: int, dtype: str) -> list[np.ndarray]:
    """Several arrays of one shape, all positive: a mean of squares is."""
    return [np.abs(normal(*shape, dtype=dtype, seed=seed)) for seed in range(count)]


def attention_arguments(dtype: str) -> list[np.ndarray]:
    return [normal(2, 2, 5, 3, dtype=dtype, seed=seed) for seed in range(3)]


def attention_backward_arguments(dtype: str) -> tuple[np.ndarray, ...]:
    query, key, value = attention_arguments(dtype)
    return normal(2, 2, 5, 3, dtype=dtype, seed=9), query, key, value, cpu.attention_forward(query, key, value, True)[1]


def flash_backward_arguments(dtype: str) -> tuple[Any, ...]:
    query, key, value = attention_arguments(dtype)
    kept = cpu.blockwise_attention_forward(query, key, value, True, 2)
    return normal(2, 2, 5, 3, dtype=dtype, seed=9), query, key, value, *kept, True, 2


def norm_backward_arguments(dtype: str, layer: bool) -> tuple[np.ndarray, ...]:
    x, weight = strided(2, 3, 7, dtype=dtype), normal(7, dtype=dtype)
    forward = cpu.layer_norm_forward(x, weight, weight, 1e-5) if layer else cpu.rms_norm_forward(x, weight, 1e-5)
    return normal(2, 3, 7, dtype=dtype, seed=5), forward[1], forward[2], weight


TARGETS = np.array([0, 3, 3, 1])
INDICES = np.array([[4, 0, 4], [2, 4, 0]])

CASES: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "adamw_update": lambda d: (*normals(4, 3, 10, dtype=d), 0.1, (0.9, 0.99), 1e-8, 0.1, 2),
    "attention_backward": attention_backward_arguments,
    "attention_forward": lambda d: (*attention_arguments(d), True, np.float32(normal(5, 5)).astype(d)),
    "bias_gelu_backward": lambda d: (normal(2, 3, 7, dtype=d), normal(2, 3, 7, dtype=d, seed=1), normal(7, dtype=d)),
    "bias_gelu_forward": lambda d: (strided(2, 3, 7, dtype=d), normal(7, dtype=d)),
    "blockwise_attention_backward": flash_backward_arguments,
    "blockwise_attention_forward": lambda d: (*attention_arguments(d), True, 2),
    "col2im": lambda d: (normal(2, 12, 6, dtype=d), (3, 4), (2, 2), (1, 1), (1, 1)),
    "column_sum": lambda d: (normal(7, 5, dtype=d), normal(7, 5, dtype=d, seed=1)),
    "cross_entropy_backward": lambda d: (
        normal(4, dtype=d), normal(4, 5, dtype=d), TARGETS,
        cpu.cross_entropy_forward(normal(4, 5, dtype=d), TARGETS)[1],
    ),
    "cross_entropy_forward": lambda d: (strided(4, 5, dtype=d), TARGETS),
    "dropout": lambda d: (strided(3, 31, dtype=d), 0.25, 2**40 + 3, 2**33 + 1),
    "embedding_backward": lambda d: (normal(2, 3, 7, dtype=d), INDICES, 5),
    "gelu_backward": lambda d: (strided(3, 5, dtype=d), normal(3, 5, dtype=d), "tanh"),
    "gelu_backward_from_slope": lambda d: (normal(3, 5, dtype=d), normal(3, 5, dtype=d, seed=1)),
    "gelu_forward": lambda d: (strided(2, 300, dtype=d), "none"),
    "gelu_forward_with_slope": lambda d: (normal(2, 300, dtype=d), "tanh"),
    "im2col": lambda d: (normal(2, 3, 3, 4, dtype=d), (2, 2), (1, 1), (1, 1)),
    "layer_norm_backward": lambda d: norm_backward_arguments(d, layer=True),
    "layer_norm_forward": lambda d: (strided(2, 3, 7, dtype=d), normal(7, dtype=d), normal(7, dtype=d, seed=1), 1e-5),
    "matmul": lambda d: (normal(2, 1, 3, 4, dtype=d), strided(3, 4, 5, dtype=d)),
    "normal_cdf": lambda d: (normal(3, 4, dtype=d),),
    "packed_attention_backward": lambda d: (normal(2, 5, 4, dtype=d), normal(2, 5, 12, dtype=d), 2),
    "packed_attention_forward": lambda d: (normal(2, 5, 12, dtype=d), 2, True),
    "rms_norm_backward": lambda d: norm_backward_arguments(d, layer=False),
    "rms_norm_forward": lambda d: (strided(2, 3, 7, dtype=d), normal(7, dtype=d), 1e-5),
    "sgd_update": lambda d: (*normals(3, 3, 10, dtype=d), 0.1, 0.9, 0.1),
    "softmax_backward": lambda d: (strided(3, 4, 5, dtype=d), normal(3, 4, 5, dtype=d), 1),
    "softmax_forward": lambda d: (strided(3, 4, 5, dtype=d), 0),
}  # fmt: skip


def packed_gradient(kernels: Any, grad: np.ndarray, qkv: np.ndarray, heads: int) -> Any:
    """Each device keeps what it likes between forward and backward."""
    return kernels.packed_attention_backward(grad, qkv, *kernels.packed_attention_forward(qkv, heads, True), heads)


CALLS: dict[str, Callable[..., Any]] = {
    "packed_attention_backward": packed_gradient,
    "packed_attention_forward": lambda kernels, *args: kernels.packed_attention_forward(*args)[0],
}


@pytest.mark.usefixtures("emulated_cupy")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_both_devices_agree(name: str, dtype: str) -> None:
    ours, theirs = CASES[name](dtype), CASES[name](dtype)
    found, expected = (
        CALLS[name](kernels, *args) if name in CALLS else getattr(kernels, name)(*args)
        for kernels, args in ((gpu, ours), (cpu, theirs))
    )
    if name.endswith("_update"):  # it writes to what it was given
        found, expected = (tuple(arg for arg in args if isinstance(arg, np.ndarray)) for args in (ours, theirs))
    if name == "gelu_forward_with_slope":  # on a GPU there is none: it is faster to compute it again
        assert found[1] is None
        found, expected = found[0], expected[0]
    assert_same(found, expected)


@pytest.mark.usefixtures("emulated_cupy")
def test_both_devices_drop_the_same_elements() -> None:
    """Row `bits`."""
    x, arguments = normal(3, 31), (0.25, 2**40 + 3, 2**33 + 1)
    np.testing.assert_array_equal(gpu.dropout(x, *arguments), cpu.dropout(x, *arguments))


def test_every_cpu_kernel_is_on_the_gpu_and_here() -> None:
    assert set(cpu.__all__) == set(CASES)
    assert set(cpu.__all__) <= set(gpu.__all__)


@pytest.mark.usefixtures("emulated_cupy")
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5)])
def test_gelu_of_any_shape(shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    assert_same(gpu.gelu_forward(np.asarray(x)), cpu.gelu_forward(np.asarray(x)))


@pytest.mark.usefixtures("emulated_cupy")
@pytest.mark.parametrize("variant", list(gpu.MATMUL_TILES))
@pytest.mark.parametrize(
    ("a", "b"),
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((0, 3), (3, 2)),
     ((2, 0), (0, 3))],
)  # fmt: skip
def test_matmul_has_numpys_shapes(a: tuple[int, ...], b: tuple[int, ...], variant: str) -> None:
    x, y = normal(*a), normal(*b)
    np.testing.assert_allclose(gpu.matmul(x, y, variant), x @ y, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("emulated_cupy")
def test_transposed_views_are_read_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = normal(4, 3).T, normal(5, 4).T
    monkeypatch.setattr(sys.modules["cupy"], "ascontiguousarray", lambda x: pytest.fail("copied"))
    np.testing.assert_allclose(gpu.matmul(a, b), a @ b, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("emulated_cupy")
@pytest.mark.parametrize("rows", [1, 300])
def test_sums(rows: int) -> None:
    x = normal(rows, 5)
    assert_same(gpu.column_sum(x), x.sum(0))
    assert_same(gpu.column_sum(x, 2 * x), (2 * x * x).sum(0))
    np.testing.assert_allclose(gpu.sum_of_squares(x), (x * x).sum(), rtol=1e-12)


@pytest.mark.usefixtures("emulated_cupy")
def test_bias_gelu_dropout_embedding_and_updates() -> None:
    x, grad, bias = normal(3, 4, 5), normal(3, 4, 5, seed=1), normal(5)
    slope = cpu.gelu_backward(grad, x + bias, "tanh")
    assert_same(gpu.bias_gelu_forward(x, bias), cpu.gelu_forward(x + bias, "tanh"))
    assert_same(gpu.bias_gelu_backward(grad, x, bias), (slope, slope.sum((0, 1))))
    assert_same(gpu.embedding_forward(normal(5, 7), INDICES), normal(5, 7)[INDICES])
    dropped = gpu.dropout(np.ones(4000), 0.25, seed=3, call=1)
    assert set(dropped) == {0.0, 1 / 0.75}
    assert abs((dropped == 0).mean() - 0.25) < 0.03
    np.testing.assert_array_equal(gpu.dropout(np.ones(40), 0.0, seed=3, call=1), 1.0)
    p, m, v = np.zeros((3, 10))
    gpu.adamw_update(p, np.full(10, 3.0), m, v, 0.1, (0.9, 0.99), 1e-8, 0.0, 1)
    np.testing.assert_allclose(p, -0.1)  # Adam's first step is lr, whatever the gradient's size
    gpu.sgd_update(p, np.ones(10), m, 0.1, 0.0, 0.0)
    np.testing.assert_allclose(p, -0.2)


@pytest.mark.usefixtures("emulated_cupy")
def test_gpu_refuses_what_no_kernel_can_take() -> None:
    with pytest.raises(ValueError, match="approximate='erf' is not known"):
        gpu.gelu_forward(np.ones(2), "erf")
    with pytest.raises(TypeError, match=r"x must be float32 or float64.*got int64"):
        gpu.gelu_forward(np.ones(2, np.int64))
    with pytest.raises(TypeError, match="x must be a CuPy array on the GPU, got list"):
        gpu.gelu_forward([1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="x must be float32 or float64, the same as the other inputs"):
        gpu.gelu_backward(np.ones(2), np.ones(2, np.float32))
    with pytest.raises(ValueError, match=r"x has shape \(3,\), which must be \(2,\)"):
        gpu.gelu_backward(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="variant='fast' is not known"):
        gpu.matmul(np.ones((2, 2)), np.ones((2, 2)), "fast")
    with pytest.raises(ValueError, match="last axis must be as long"):
        gpu.matmul(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="head dimension of 129"):
        gpu.blockwise_attention_forward(*np.ones((3, 1, 2, 129)), True, 2)


def test_missing_cupy_and_missing_gpu_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> int:
        raise RuntimeError("cudaErrorInsufficientDriver")

    clear_caches()
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(RuntimeError, match="need CuPy: pip install"):
        gpu.gelu_forward(np.ones(2))
    for count, message in ((no_driver, "cannot use a GPU here .cudaErrorIns"), (lambda: 0, "finds no GPU")):
        cupy = ModuleType("cupy")
        cupy.__dict__.update(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count)))
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        with pytest.raises(RuntimeError, match=message):
            gpu.gelu_forward(np.ones(2))
