"""The CUDA kernels against cuBLAS and the memory's own speed. Run: python tests/benchmarks/gpu_kernels/run.py."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad.device import gpu_module
from minigrad.kernels import gpu
from minigrad.kernels.launch_cuda import launch

ADAMW: tuple[Any, ...] = 1e-3, (0.9, 0.999), 1e-8, 0.01, 10
Call = Callable[[], Any]


class Row(NamedTuple):
    """One line about a kernel that memory bounds.

    Attributes:
        name: of the line.
        call: launches the kernel.
        arrays: how many arrays of float32 it has to read and to write, at the least.
    """

    name: str
    call: Call
    arrays: int


def milliseconds(cupy: Any, call: Call, repeats: int) -> float:
    """The median over some launches, by the GPU's own clock, after three that warm up."""
    for _ in range(3):
        call()
    found = []
    for _ in range(repeats):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        found.append(cupy.cuda.get_elapsed_time(start, end))
    return statistics.median(found)


def bounded_by_memory(cupy: Any, rows: int, columns: int) -> list[Row]:
    """The kernels that do little with each number they read."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> Any:
        return cupy.asarray(rng.standard_normal(shape, np.float32))

    x, grad, m = array(rows, columns), array(rows, columns), array(rows, columns)
    weight, bias = array(columns), array(columns)
    p, v, velocity = x.copy(), m * m, m.copy()
    y = gpu.softmax_forward(x)
    _, x_hat, inverse = gpu.layer_norm_forward(x, weight, bias, 1e-5)
    return [
        Row("gelu tanh, forward", lambda: gpu.gelu_forward(x, "tanh"), 2),
        Row("gelu tanh, backward", lambda: gpu.gelu_backward(grad, x, "tanh"), 3),
        Row("gelu exact, forward", lambda: gpu.gelu_forward(x), 2),
        Row("softmax, forward", lambda: gpu.softmax_forward(x), 2),
        Row("softmax, backward", lambda: gpu.softmax_backward(grad, y), 3),
        Row("layer norm, forward", lambda: gpu.layer_norm_forward(x, weight, bias, 1e-5), 3),
        Row("layer norm, backward", lambda: gpu.layer_norm_backward(grad, x_hat, inverse, weight), 3),
        Row("dropout, forward", lambda: gpu.dropout(x, 0.1, 0, 0), 2),
        Row("AdamW", lambda: gpu.adamw_update(p, grad, m, v, *ADAMW), 7),
        Row("SGD with momentum", lambda: gpu.sgd_update(p, grad, velocity, 1e-3, 0.9, 0.0), 5),
    ]


def print_memory_table(cupy: Any, rows: int, columns: int, repeats: int) -> None:
    """Bandwidths beside that of a plain copy in the same run; a share above 0.85 is the aim."""
    source = cupy.zeros((rows, columns), np.float32)
    target = cupy.empty_like(source)
    rate = 2 * source.nbytes / milliseconds(cupy, lambda: cupy.copyto(target, source), repeats) / 1e6
    print(f"copy of {rows} x {columns} float32: {rate:.0f} GB/s\n")
    print("| kernel | ms | GB/s | of the copy | aim |\n|---|---|---|---|---|")
    for row in bounded_by_memory(cupy, rows, columns):
        ms = milliseconds(cupy, row.call, repeats)
        own = row.arrays * source.nbytes / ms / 1e6
        print(f"| {row.name} | {ms:.3f} | {own:.0f} | {own / rate:.2f} | 0.85 |", flush=True)


def products(cupy: Any, size: int) -> list[tuple[str, Call, Call, float | None]]:
    """(name, ours, cuBLAS's, the share of cuBLAS's speed that is aimed at) of each rung of the ladder."""
    rng = np.random.default_rng(0)
    a, b = (cupy.asarray(rng.standard_normal((size, size), np.float32)) for _ in range(2))
    half_a, half_b = a.astype(np.float16), b.astype(np.float16)
    c = cupy.empty((size, size), np.float32)
    tiles = -(-size // 64)
    sizes = (np.int32(size),) * 3 + (np.bool_(False),) * 2 + (np.int64(0),) * 3

    def tensor_cores() -> None:
        arguments = (half_a, half_b, c, *sizes)
        launch("matmul_tensor_cores.cu", "matmul_tensor_cores_float16", (tiles, tiles, 1), (128,), arguments)

    rungs: list[tuple[str, Call, Call, float | None]] = [
        (variant, lambda variant=variant: gpu.matmul(a, b, variant), lambda: cupy.matmul(a, b), aim)
        for variant, aim in (("naive", None), ("tiled", None), ("registers", 0.7))
    ]
    return [*rungs, ("tensor cores, float16", tensor_cores, lambda: cupy.matmul(half_a, half_b), 0.6)]


def print_matmul_table(cupy: Any, size: int, repeats: int) -> None:
    """The ladder beside cuBLAS, in turn."""
    print(f"\n{size} x {size} x {size}\n")
    print("| product | ms | TFLOP/s | cuBLAS, ms | of cuBLAS's speed | aim |\n|---|---|---|---|---|---|")
    for name, ours, theirs, aim in products(cupy, size):
        ms, peer = milliseconds(cupy, ours, repeats), milliseconds(cupy, theirs, repeats)
        print(f"| {name} | {ms:.3f} | {2 * size**3 / ms / 1e9:.1f} | {peer:.3f} | {peer / ms:.2f} | {aim or '-'} |")


def main(arguments: list[str] | None = None) -> None:
    """Print both tables, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16384, help="of the arrays in the first table (16384)")
    parser.add_argument("--columns", type=int, default=4096, help="of the arrays in the first table (4096)")
    parser.add_argument("--size", type=int, default=4096, help="side of the matrices (4096)")
    parser.add_argument("--repeats", type=int, default=21, help="launches of each, of which the median counts (21)")
    options = parser.parse_args(arguments)
    try:
        cupy = gpu_module()
    except RuntimeError as error:
        print(f"nothing measured: {error}")
        return
    device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(f"{device}, CuPy {cupy.__version__}, CUDA {cupy.cuda.runtime.runtimeGetVersion()}")
    print_memory_table(cupy, options.rows, options.columns, options.repeats)
    print_matmul_table(cupy, options.size, options.repeats)


if __name__ == "__main__":
    main()
