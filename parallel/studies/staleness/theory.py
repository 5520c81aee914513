"""The theory of the quadratic model: its roots, and the step at which the first leaves the unit circle."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from parallel.studies.staleness.arguments import as_delays, as_finite

Array = NDArray[Any]


def critical_step(tau: ArrayLike) -> Any:
    """Return the step at which training with gradients `tau` updates old stops being stable.

    Args:
        tau: staleness in updates, a whole number of at least 0 or an integer array of any shape.

    Returns:
        2 sin(pi / (4 tau + 2)), float64 of the shape of `tau`, in units of 1 / curvature.

    Raises:
        ValueError: `tau` is negative or not whole.

    Source: S. A. Levin and R. M. May, "A note on difference-delay equations", 1976; derived in
    docs/staleness.md.

    >>> [round(float(critical_step(tau)), 4) for tau in range(4)]
    [2.0, 1.0, 0.618, 0.445]
    """
    return 2 * np.sin(np.pi / (4 * as_delays(tau) + 2))


def fastest_step(tau: ArrayLike) -> Any:
    """Return the step at which a gradient `tau` updates old shrinks the weight fastest.

    There the two largest roots of the characteristic polynomial meet at tau / (tau + 1): below it the weight
    creeps towards zero without changing sign, above it the weight overshoots and oscillates.

    Args:
        tau: staleness in updates, a whole number of at least 0 or an integer array of any shape.

    Returns:
        tau^tau / (tau + 1)^(tau + 1), float64 of the shape of `tau`, in units of 1 / curvature.

    Raises:
        ValueError: `tau` is negative or not whole.

    >>> [float(fastest_step(tau)) for tau in range(2)]
    [1.0, 0.25]
    """
    tau = as_delays(tau).astype(np.float64)
    return (tau / (tau + 1)) ** tau / (tau + 1)


def characteristic_polynomial(tau: int, step: float) -> Array:
    """Return the polynomial whose roots z are the modes w[t] = z^t of the recursion.

    Putting z^t into w[t+1] = w[t] - step w[t-tau] and dividing by z^(t-tau) leaves z^(tau+1) - z^tau + step.

    Args:
        tau: staleness in updates, a whole number of at least 0.
        step: eta a.

    Returns:
        float64 coefficients, shape (tau + 2,), highest power first, as `numpy.roots` reads them.

    Raises:
        ValueError: `tau` is negative or not whole.

    >>> characteristic_polynomial(2, 0.5)
    array([ 1. , -1. ,  0. ,  0.5])
    """
    coefficients = np.zeros(int(as_delays(tau)) + 2)
    coefficients[0] = 1
    coefficients[1] = -1
    coefficients[-1] += step  # for tau = 0 this is the same coefficient: z - 1 + step
    return coefficients


def spectral_radius(tau: int, step: ArrayLike) -> Any:
    """Return the factor by which the recursion grows per update in the long run: its largest |root|.

    The roots are found as the eigenvalues of the companion matrix, which is also the matrix that carries the
    state (w[t], w[t-1], ..., w[t-tau]) one update on.

    Args:
        tau: staleness in updates, a whole number of at least 0.
        step: eta a, a number or an array of any shape.

    Returns:
        float64 of the shape of `step`; below 1 is stable.

    Raises:
        ValueError: `tau` is negative or not whole, or a step is not finite.

    Cost: O(tau^3) per step.

    >>> float(spectral_radius(0, 0.25))
    0.75
    """
    tau, step = int(as_delays(tau)), as_finite("step", step)
    companion = np.zeros((*step.shape, tau + 1, tau + 1))
    companion[..., 0, 0] = 1
    companion[..., 0, tau] -= step  # the new w: the newest w minus step times the oldest
    companion[..., np.arange(1, tau + 1), np.arange(tau)] = 1  # all others move one place down
    return np.abs(np.linalg.eigvals(companion)).max(axis=-1)
