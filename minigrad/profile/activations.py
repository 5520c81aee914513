"""Activation functions timed against each other."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.nn import functional as F
from minigrad.tensor import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU": F.relu,
    "sigmoid": Tensor.sigmoid,
    "tanh": Tensor.tanh,
    "GELU (tanh)": lambda x: F.gelu(x, approximate="tanh"),
    "GELU (exact)": F.gelu,
    "softmax": F.softmax,
}


@dataclass(frozen=True)
class ActivationTime:
    """How long one activation function takes.

    Attributes:
        name: of the function.
        forward, backward: seconds for each element.
    """

    name: str
    forward: float
    backward: float


def activation_times(
    rng: np.random.Generator, shape: tuple[int, int] = (256, 1024), repeats: int = 20
) -> list[ActivationTime]:
    """Time every activation function on one float32 array.

    All functions take turns in each round, so that a slow moment of the machine hits them alike. Each runs twice in
    its turn, the first time to find caches and free memory as it leaves them itself; the best time counts.

    Args:
        rng: source of the normal input.
        shape: of the input; softmax is over the last axis.
        repeats: rounds.

    Returns:
        A row for each of ACTIVATIONS, in its order.

    Raises:
        ValueError: repeats below 1 or an empty shape.
    """
    if repeats < 1 or min(shape) < 1:
        raise ValueError(f"repeats={repeats} and every length of shape={shape} must be at least 1")
    x = Tensor(rng.standard_normal(shape, dtype=np.float32), requires_grad=True)
    gradient = Tensor(rng.standard_normal(shape, dtype=np.float32))
    forward = dict.fromkeys(ACTIVATIONS, np.inf)
    backward = dict.fromkeys(ACTIVATIONS, np.inf)
    for _ in range(repeats):
        for name in [name for name in ACTIVATIONS for _ in range(2)]:
            function = ACTIVATIONS[name]
            x.grad = None
            start = time.perf_counter()
            y = function(x)
            middle = time.perf_counter()
            y.backward(gradient)
            end = time.perf_counter()
            forward[name] = min(forward[name], middle - start)
            backward[name] = min(backward[name], end - middle)
    size = shape[0] * shape[1]
    return [ActivationTime(name, forward[name] / size, backward[name] / size) for name in ACTIVATIONS]


def write_csv(rows: Sequence[ActivationTime], path: str | Path) -> None:
    """Write a row for each function, in nanoseconds per element."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["activation", "forward_ns_per_element", "backward_ns_per_element"])
        for row in rows:
            writer.writerow([row.name, f"{row.forward * 1e9:.4f}", f"{row.backward * 1e9:.4f}"])
