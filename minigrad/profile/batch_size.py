"""Throughput and memory against the batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from minigrad.profile.machine import best_seconds
from minigrad.profile.recorder import profile


@dataclass(frozen=True)
class BatchSizeRow:
    """One batch size.

    Attributes:
        batch_size: examples in a step.
        seconds: of a step, the best of several.
        memory: largest number of bytes that a step allocates at once: activations, gradients, temporaries.
    """

    batch_size: int
    seconds: float
    memory: int

    @property
    def throughput(self) -> float:
        """Examples per second."""
        return self.batch_size / self.seconds


def sweep_batch_sizes(
    make_step: Callable[[int], Callable[[], object]], batch_sizes: Iterable[int], repeats: int = 3
) -> list[BatchSizeRow]:
    """Time a step at each batch size, and then measure its memory in a run of its own.

    Args:
        make_step: from a batch size to a function that does one step.
        batch_sizes: each at least 1.
        repeats: timed runs of each, of which the best counts.

    Returns:
        A row for each.

    Raises:
        ValueError: a batch size or repeats below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats={repeats} must be at least 1")
    rows = []
    for batch_size in batch_sizes:
        if batch_size < 1:
            raise ValueError(f"batch_sizes has {batch_size}, each must be at least 1")
        step = make_step(batch_size)
        seconds = best_seconds(step, repeats)
        with profile(memory=True) as found:
            step()
        rows.append(BatchSizeRow(batch_size, seconds, found.peak_memory))
    return rows


def linear_cost(batch_sizes: Sequence[float], costs: Sequence[float]) -> tuple[float, float]:
    """(fixed cost, cost per example) of the line that fits costs best, each error relative to its cost.

    Args:
        batch_sizes: at least two different ones.
        costs: seconds or bytes, positive.

    Raises:
        ValueError: fewer than two different batch sizes.

    >>> fixed, each = linear_cost([1, 2, 4], [5.0, 7.0, 11.0])
    >>> round(fixed, 9), round(each, 9)
    (3.0, 2.0)
    """
    if len(set(batch_sizes)) < 2:
        raise ValueError(f"batch_sizes={list(batch_sizes)} needs at least two different ones for a line")
    sizes, values = np.asarray(batch_sizes, float), np.asarray(costs, float)
    each, fixed = np.polyfit(sizes, values, 1, w=1.0 / values)
    return float(fixed), float(each)
