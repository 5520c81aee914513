"""The stability boundary measured: by bisection on the roots, and by bisection on runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from parallel.studies.staleness.arguments import as_delays, as_momentum, at_least
from parallel.studies.staleness.recursion import LIMIT, amplitudes, smoothed_amplitudes
from parallel.studies.staleness.theory import critical_step, spectral_radius

Array = NDArray[Any]

# The boundary is searched for between step 0 and this. No delay allows more than step 2 (1 + momentum), at most 4.
LARGEST_STEP = 4.0

# Each halving doubles the precision of a measured boundary: 4 / 2^22 is less than 1e-6.
HALVINGS = 22


def measured_boundary(tau: ArrayLike, each_halving: Callable[[], None] | None = None, momentum: float = 0.0) -> Array:
    """Find the largest stable step from the roots: bisection on spectral radius = 1.

    Args:
        tau: staleness in updates, a whole number of at least 0 or an integer array, shape (n,).
        each_halving: called HALVINGS times, for a progress bar.
        momentum: m of the heavy ball, between -1 and 1.

    Returns:
        float64 of the shape of `tau`, exact to LARGEST_STEP / 2^HALVINGS (below 1e-6).

    Raises:
        ValueError: `tau` is negative or not whole.

    Cost: HALVINGS eigenvalue problems of size tau + 1 for each tau.

    >>> round(float(measured_boundary(1)), 4)
    1.0
    """
    delays = as_delays(tau)

    def is_unstable(step: Array) -> Array:
        radii = [spectral_radius(*pair, momentum) for pair in zip(delays.flat, step.flat, strict=True)]
        return np.reshape(radii, delays.shape) > 1

    return _bisect(is_unstable, delays.shape, each_halving)


def measured_boundary_by_running(
    tau: ArrayLike, iterations: int = 2000, each_halving: Callable[[], None] | None = None
) -> Array:
    """Find the largest stable step by running the recursion: bisection on whether the weight grew.

    A run is unstable if it left the finite range, or if its amplitude at the end is above that of its middle.
    No root is computed; only the number of values averaged over is chosen with the theory in mind.

    Args:
        tau: staleness in updates, a whole number of at least 0 or an integer array of any shape.
        iterations: length of a run. The middle must be late enough for the first transient to have died.
        each_halving: called HALVINGS times, for a progress bar.

    Returns:
        float64 of the shape of `tau`.

    Raises:
        ValueError: `tau` is negative or not whole, or `iterations` is below 8 tau + 4 (two oscillations).

    Cost: HALVINGS * iterations updates, all delays at once.

    >>> round(float(measured_boundary_by_running(1, iterations=400)), 4)
    1.0
    """
    delays = as_delays(tau)
    iterations = at_least("iterations", iterations, 8 * int(delays.max(initial=0)) + 4)

    def is_unstable(step: Array) -> Array:
        middle, end = amplitudes(delays, step, [iterations // 2, iterations])
        return (end > middle) | (end > LIMIT / 2)  # the second: held at LIMIT since before the middle

    return _bisect(is_unstable, delays.shape, each_halving)


def measured_boundary_with_momentum(
    tau: ArrayLike, momentum: ArrayLike, iterations: int = 8000, each_halving: Callable[[], None] | None = None
) -> Array:
    """Find the largest stable step with momentum by running the recursion, as `measured_boundary_by_running`.

    With momentum the period at the boundary is no round number, so the amplitude is a smooth average over a quarter
    of the run.

    Args:
        tau: staleness in updates, whole numbers of at least 0; broadcasts against `momentum`.
        momentum: m of the heavy ball, between -1 and 1.
        iterations: length of a run, at least 64 tau + 64: a quarter of it must hold many oscillations.
        each_halving: called HALVINGS times, for a progress bar.

    Returns:
        float64 of the shape that both have together.

    Raises:
        ValueError: an argument is out of range.

    Cost: HALVINGS * iterations updates, all runs at once.
    """
    delays, m = np.broadcast_arrays(as_delays(tau), as_momentum(momentum))
    iterations = at_least("iterations", iterations, 64 * int(delays.max(initial=0)) + 64)

    def is_unstable(step: Array) -> Array:
        middle, end = smoothed_amplitudes(delays, step, m, (iterations // 2, iterations), iterations // 4)
        return (end > middle) | (end > LIMIT / 2)

    return _bisect(is_unstable, delays.shape, each_halving)


def _bisect(
    is_unstable: Callable[[Array], Array], shape: tuple[int, ...], each_halving: Callable[[], None] | None
) -> Array:
    """Halve [0, LARGEST_STEP] around the boundary, everywhere in `shape` at once."""
    low: Array = np.zeros(shape)
    high: Array = np.full(shape, LARGEST_STEP)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        unstable = is_unstable(middle)
        low, high = np.where(unstable, low, middle), np.where(unstable, middle, high)
        if each_halving is not None:
            each_halving()
    return (low + high) / 2


def first_unstable(
    unstable: Callable[[Array], Array], rounds: int, parts: int, highest: float = LARGEST_STEP
) -> float:
    """Find where stability ends, trying many steps at once: each round finds the part in which it does, and divides it.

    Args:
        unstable: told steps, shape (parts - 1,), says of each whether a run with it grows.
        rounds: how often the interval is divided.
        parts: into how many.
        highest: the search is between 0 and this.

    Returns:
        The middle of the last part, whose width is highest / parts^rounds.
    """
    low, high = 0.0, highest
    for _ in range(rounds):
        steps = np.linspace(low, high, parts + 1)
        growing = np.append(unstable(steps[1:-1]), True)
        first = 1 + int(growing.argmax())
        low, high = float(steps[first - 1]), float(steps[first])
    return (low + high) / 2


@dataclass(frozen=True)
class Boundary:
    """The stability boundary for each delay, three times: predicted, from the roots, from running."""

    tau: Array
    theory: Array
    by_radius: Array
    by_running: Array


def stability_boundary(max_tau: int, each_halving: Callable[[], None] | None = None) -> Boundary:
    """Predict and measure the stability boundary for tau = 0, ..., max_tau.

    Args:
        max_tau: largest staleness, a whole number of at least 0.
        each_halving: called 2 * HALVINGS times, for a progress bar.

    Raises:
        ValueError: `max_tau` is negative or not whole.
    """
    tau = np.arange(at_least("max_tau", max_tau, 0) + 1)
    iterations = max(2000, 32 * len(tau))
    return Boundary(
        tau=tau,
        theory=critical_step(tau),
        by_radius=measured_boundary(tau, each_halving),
        by_running=measured_boundary_by_running(tau, iterations, each_halving),
    )
