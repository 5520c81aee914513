"""Loading and launching the CUDA kernels through CuPy: what every function of `gpu.py` stands on.

CuPy is imported at the first call, so that this file can be read and imported on any machine. The CUDA source is
compiled by CuPy at first use for the GPU in hand, and kept in CuPy's own cache on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.device import Array, gpu_module

CUDA_SOURCES = Path(__file__).parent / "cuda"
THREADS_PER_BLOCK = 256  # 8 warps: enough to hide latency, and a divisor of what a multiprocessor holds
MAX_BLOCKS = 4096  # some 4 rounds on the largest GPUs; the kernels' strided loops do the rest
LANES = 32
LONG_ROW = 1024  # from here on a row is worth a block of its own instead of a warp
DEFAULT_SHARED_BYTES = 48 * 1024  # more dynamic shared memory must be asked for


@lru_cache(maxsize=1)
def require_gpu() -> Any:
    """The cupy module, if it is installed and sees a GPU.

    Raises:
        RuntimeError: otherwise, with the remedy.
    """
    return gpu_module()


@lru_cache
def load_source(file_name: str) -> Any:
    """The cupy.RawModule of one file in `cuda/`; CuPy compiles it once for each GPU."""
    source = (CUDA_SOURCES / file_name).read_text(encoding="utf-8")
    return require_gpu().RawModule(code=source, options=("--std=c++17", f"-I{CUDA_SOURCES}"))


def check_arrays(**arrays: Array) -> np.dtype[Any]:
    """The dtype that all arrays have, refused where there is no kernel for it.

    Raises:
        RuntimeError: no CuPy or no GPU.
        TypeError: an input is no CuPy array, or its dtype has no kernel or is not that of the others.
    """
    cupy = require_gpu()
    first = next(iter(arrays.values()))
    for name, array in arrays.items():
        if not isinstance(array, cupy.ndarray):
            raise TypeError(f"{name} must be a CuPy array on the GPU, got {type(array).__name__}")
        if array.dtype not in (np.float32, np.float64) or array.dtype != first.dtype:
            raise TypeError(f"{name} must be float32 or float64, the same as the other inputs, got {array.dtype}")
    return first.dtype


def launch(
    file_name: str,
    kernel_name: str,
    grid: Sequence[int],
    block: Sequence[int],
    args: Sequence[Any],
    shared_bytes: int = 0,
) -> None:
    """Queue one kernel. Nothing is launched where the grid is empty, which CUDA would refuse."""
    if 0 in grid:
        return
    kernel = load_source(file_name).get_function(kernel_name)
    if shared_bytes > DEFAULT_SHARED_BYTES:
        kernel.max_dynamic_shared_size_bytes = shared_bytes
    kernel(tuple(grid), tuple(block), tuple(args), shared_mem=shared_bytes)


def contiguous(*arrays: Array) -> list[Array]:
    """The arrays, copied where they are not C-contiguous: a kernel sees memory, not strides."""
    cupy = require_gpu()
    return [cupy.ascontiguousarray(array) for array in arrays]


def launch_elementwise(file_name: str, kernel_prefix: str, inputs: dict[str, Array], outputs: int = 1) -> list[Array]:
    """Run the kernel `<prefix>_<dtype>(inputs..., outputs..., n)`, one element a thread; returns the outputs.

    Raises:
        RuntimeError, TypeError: as `check_arrays`.
        ValueError: inputs of different shapes, where the kernel would read past the end.
    """
    dtype = check_arrays(**inputs)
    shape = next(iter(inputs.values())).shape
    for name, array in inputs.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, which must be {shape} as the other input's")
    results = [require_gpu().empty(shape, dtype) for _ in range(outputs)]
    n = results[0].size
    args = (*contiguous(*inputs.values()), *results, np.int64(n))
    launch(file_name, f"{kernel_prefix}_{dtype}", (blocks_for(n, THREADS_PER_BLOCK),), (THREADS_PER_BLOCK,), args)
    return results


def launch_rows(file_name: str, kernel_name: str, args: Sequence[Any], rows: int, columns: int) -> None:
    """Run a kernel that gives each row to a team of threads (cuda/team.h): `name(args..., rows, columns)`."""
    block = (THREADS_PER_BLOCK, 1) if columns > LONG_ROW else (LANES, THREADS_PER_BLOCK // LANES)
    grid = (blocks_for(rows, block[1]),)
    launch(file_name, kernel_name, grid, block, (*args, np.int64(rows), np.int64(columns)))


def blocks_for(count: int, per_block: int) -> int:
    """How many blocks to launch for `count` elements (or rows), `per_block` of them a block at a time.

    >>> blocks_for(1000, 256), blocks_for(0, 256), blocks_for(10**9, 256)
    (4, 0, 4096)
    """
    return min(-(-count // per_block), MAX_BLOCKS)
