"""The plane (tau, step), mapped: how much the weight shrank or grew in each cell."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from parallel.studies.staleness.arguments import as_finite, as_momentum, at_least
from parallel.studies.staleness.recursion import LIMIT, amplitudes

Array = NDArray[Any]


@dataclass(frozen=True)
class StabilityMap:
    """What became of the weight for every delay and step.

    Attributes:
        tau: delays, shape (D,).
        step: steps eta a, shape (S,).
        iterations: updates made, T.
        log10_growth: log10 of amplitude at T over |w[0]|, shape (D, S), within -100 and 100.
    """

    tau: Array
    step: Array
    iterations: int
    log10_growth: Array


def sweep(max_tau: int, step_grid: ArrayLike, iterations: int = 1000, momentum: float = 0.0) -> StabilityMap:
    """Run the recursion for every delay 0, ..., max_tau and every step of a grid, all at once.

    Args:
        max_tau: largest staleness, a whole number of at least 0.
        step_grid: steps eta a, shape (S,).
        iterations: updates in each run.
        momentum: m of the heavy ball, between -1 and 1.

    Returns:
        StabilityMap.

    Raises:
        ValueError: `max_tau` is negative or not whole, `step_grid` is not one-dimensional or not finite, or
            `iterations` is below 2 max_tau + 1 (half an oscillation), or `momentum` is not between -1 and 1.

    Cost: iterations * (max_tau + 1) * S updates.

    >>> sweep(1, [0.5, 1.5], iterations=200).log10_growth.round()
    array([[-60., -60.],
           [-30.,  17.]])
    """
    tau = np.arange(at_least("max_tau", max_tau, 0) + 1)
    iterations = at_least("iterations", iterations, 2 * max_tau + 1)
    step = as_finite("step_grid", step_grid)
    if step.ndim != 1:
        raise ValueError(f"step_grid must have one dimension, it has shape {step.shape}")
    (amplitude,) = amplitudes(tau[:, None], step[None, :], [iterations], float(as_momentum(momentum)))
    return StabilityMap(tau, step, iterations, np.log10(np.clip(amplitude, 1 / LIMIT, LIMIT)))
