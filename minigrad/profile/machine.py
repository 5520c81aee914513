"""The two limits of a machine, measured: how fast it multiplies matrices, how fast it copies memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike


@dataclass(frozen=True)
class Machine:
    """Two numbers that bound every kernel.

    Attributes:
        flops: FLOP/s of a large matrix product.
        bandwidth: bytes/s of a large copy, reading and writing counted.

    >>> machine = Machine(flops=100e9, bandwidth=10e9)
    >>> machine.ridge, machine.attainable(2.0), machine.attainable(50.0)
    (10.0, 20000000000.0, 100000000000.0)
    """

    flops: float
    bandwidth: float

    @property
    def ridge(self) -> float:
        """FLOPs per byte from which on the arithmetic is the limit and not the memory."""
        return self.flops / self.bandwidth

    def attainable(self, intensity: float) -> float:
        """FLOP/s that a kernel of this many FLOPs per byte can reach: the roofline.

        Source: Williams, Waterman and Patterson, Roofline, 2009.
        """
        return min(self.flops, self.bandwidth * intensity)

    def least_seconds(self, flops: float, moved: float) -> float:
        """The time below which no kernel of so many FLOPs and bytes can come, its data being in main memory."""
        return max(flops / self.flops, moved / self.bandwidth)


def measure_machine(
    dtype: DTypeLike = np.float32, *, size: int = 1024, copy_bytes: int = 64_000_000, repeats: int = 5
) -> Machine:
    """Measure both limits of this machine, each as the best of several tries.

    Args:
        dtype: of the matrix product.
        size: rows and columns of the matrices.
        copy_bytes: size of the array that is copied; far beyond the cache.
        repeats: tries, of which the best counts, since whatever else runs can only slow one down.

    Returns:
        The machine.

    Raises:
        ValueError: a size below 1, repeats below 1, or fewer than 8 bytes.

    Cost: about a second.
    """
    if size < 1 or repeats < 1 or copy_bytes < 8:
        raise ValueError(f"size={size} and repeats={repeats} must be at least 1, copy_bytes={copy_bytes} at least 8")
    matrix = np.ones((size, size), dtype=dtype)
    product = np.empty_like(matrix)
    source = np.ones(copy_bytes // 8)
    target = np.empty_like(source)
    multiply = best_seconds(lambda: np.matmul(matrix, matrix, out=product), repeats)
    copy = best_seconds(lambda: np.copyto(target, source), repeats)
    return Machine(flops=2.0 * size**3 / multiply, bandwidth=2.0 * source.nbytes / copy)


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
