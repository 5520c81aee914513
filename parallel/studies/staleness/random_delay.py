"""Delays that change from update to update: laws of chance, and the step at which stability ends under them.

A law is here what it says of the delays 0, 1, 2, ...: a row of probabilities. `draw` makes delays of it for a
replay, and the theory reads it as it stands.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from parallel.studies.staleness.arguments import (
    as_delays,
    as_momentum,
    as_probabilities,
    at_least,
)
from parallel.studies.staleness.boundary import first_unstable
from parallel.studies.staleness.variance import stationary_covariance

Array = NDArray[Any]

# A law that never ends is cut where less than this is left.
TAIL = 1e-9

# Points of the half circle at which a crossing is looked for; a law needs several between two of its crossings.
ANGLES_PER_DELAY = 64


def fixed(tau: int) -> Array:
    """Return the law of one delay: always `tau`.

    >>> fixed(2)
    array([0., 0., 1.])
    """
    law = np.zeros(int(as_delays(tau)) + 1)
    law[-1] = 1.0
    return law


def uniform(low: int, high: int) -> Array:
    """Return the law of delays low, ..., high, all equally likely.

    Raises:
        ValueError: `low` is negative or above `high`, or one of them is not whole.

    >>> uniform(1, 2)
    array([0. , 0.5, 0.5])
    """
    low = at_least("low", low, 0)
    high = at_least("high", high, low)
    return np.where(np.arange(high + 1) >= low, 1.0 / (high - low + 1), 0.0)


def geometric(mean: float) -> Array:
    """Return the law q (1 - q)^k with q = 1 / (mean + 1), cut where its tail is below TAIL.

    It is the staleness among M = mean + 1 workers whose times have no memory: at every update each of them is
    equally likely to be the one that arrives.

    Raises:
        ValueError: `mean` is negative or not finite.

    >>> geometric(1)[:3].round(6)
    array([0.5  , 0.25 , 0.125])
    """
    _check_mean(mean)
    if mean == 0:
        return fixed(0)
    stay = mean / (mean + 1)
    length = math.ceil(math.log(TAIL) / math.log(stay))
    law = (1 - stay) * stay ** np.arange(length)
    return law / law.sum()


def poisson(mean: float) -> Array:
    """Return the law exp(-mean) mean^k / k!, cut where its tail is below TAIL.

    Raises:
        ValueError: `mean` is negative or not finite.

    >>> poisson(2)[:3].round(4)
    array([0.1353, 0.2707, 0.2707])
    """
    _check_mean(mean)
    law = [math.exp(-mean)]
    while len(law) <= mean or law[-1] > TAIL:
        law.append(law[-1] * mean / len(law))
    return np.array(law) / math.fsum(law)


def observed(trace: ArrayLike) -> Array:
    """Return the law of a record of delays: how often each one occurs in it.

    >>> observed([1, 1, 3, 1])
    array([0.  , 0.75, 0.  , 0.25])
    """
    delays = as_delays(trace)
    if delays.ndim != 1 or not len(delays):
        raise ValueError("trace must hold at least one delay, in one row")
    return np.bincount(delays) / len(delays)


# Laws by name, each made from its mean, for pictures that compare them. One row puts a law into all.
LAWS: dict[str, Callable[[int], Array]] = {
    "constant": fixed,
    "uniform": lambda mean: uniform(0, 2 * mean),
    "Poisson": poisson,
    "geometric": geometric,
}


def draw(probabilities: ArrayLike, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw delays from a law, each one for itself.

    Args:
        probabilities: chance of the delays 0, 1, 2, ..., shape (longest + 1,).
        shape: (updates, ...) as a replay reads them.
        rng: source of chance.

    Returns:
        int64 of that shape.

    Raises:
        ValueError: the probabilities are negative or do not add up to 1.

    >>> draw([0.5, 0.0, 0.5], (6,), np.random.default_rng(0))
    array([2, 0, 0, 0, 2, 2])
    """
    law = as_probabilities(probabilities)
    return rng.choice(len(law), shape, p=law / law.sum())


def mean_boundary(probabilities: ArrayLike, momentum: float = 0.0) -> float:
    """Return the step at which the *mean* weight, over all that chance may do, stops going to zero.

    The mean obeys the recursion with the gradient averaged over the law, mean of w[t-tau]. A root meets the unit
    circle where step(z) = -(z - 1)(z - m) / (z P(1/z)), P(x) the sum of p[k] x^k, is a positive number. The least
    of those is the boundary; for one delay it is `critical_step`.

    Args:
        probabilities: chance of the delays 0, 1, 2, ..., shape (longest + 1,).
        momentum: m, between -1 and 1.

    Returns:
        The largest stable step, in units of 1 / curvature.

    Raises:
        ValueError: bad probabilities or momentum.

    Cost: ANGLES_PER_DELAY (longest + 1) evaluations of a polynomial of that degree.

    >>> round(mean_boundary(fixed(2)), 6), round(mean_boundary([0.5, 0.5]), 6)
    (0.618034, 2.0)
    """
    law, m = as_probabilities(probabilities), float(as_momentum(momentum))

    def crossing(angle: Array) -> Array:
        z = np.exp(1j * angle)
        return -(z - 1) * (z - m) * np.conj(z) / np.polynomial.polynomial.polyval(np.conj(z), law)

    with np.errstate(divide="ignore", invalid="ignore"):  # a law whose mean gradient vanishes at some angle
        angles = np.linspace(0, np.pi, ANGLES_PER_DELAY * (len(law) + 1) + 1)[1:-1]
        imaginary = crossing(angles).imag
        found = [float(2 * (1 + m) / np.polynomial.polynomial.polyval(-1.0, law))]  # z = -1, in real numbers
        for left in np.flatnonzero(imaginary[:-1] * imaginary[1:] <= 0):
            rising = bool(imaginary[left] < imaginary[left + 1])
            angle = _zero(lambda x: crossing(x).imag, angles[left], angles[left + 1], rising)
            step = complex(crossing(np.array(angle)))
            if abs(step.imag) < 1e-6 * abs(step.real):  # or the sign has changed through infinity, where P vanishes
                found.append(step.real)
    return float(min(step for step in found if 0 < step < np.inf))


def mean_square_boundary(probabilities: ArrayLike, momentum: float = 0.0) -> float:
    """Return the step at which the mean *square* of the weight stops going to zero.

    A delay that is drawn anew for each update is an error in the gradient whose size is that of the weight itself.
    The mean square stays finite while less comes back than was put in: step^2 (V[0,0] - p^T V p) < 1, V the
    covariance of the mean recursion driven by errors of variance 1. Mean and variance of a run go to zero together
    below this step; it is never above `mean_boundary`, and for one delay it is the same.

    Args:
        probabilities: chance of the delays 0, 1, 2, ..., shape (longest + 1,).
        momentum: m, between -1 and 1.

    Returns:
        The largest stable step, in units of 1 / curvature.

    Raises:
        ValueError: bad probabilities or momentum.

    Cost: 24 Lyapunov equations of size longest + 1.

    Source: derived in docs/staleness.md, in the manner of J. L. Willems and G. L. Blankenship, "Frequency domain
    stability criteria for stochastic systems", 1971.
    """
    law, m = as_probabilities(probabilities), float(as_momentum(momentum))
    low, high = 0.0, mean_boundary(law, m)
    for _ in range(24):  # to 1e-7 of the mean's boundary
        step = (low + high) / 2
        low, high = (step, high) if _settles(law, m, step) else (low, step)
    return (low + high) / 2


def mean_companion(law: Array, momentum: float, step: float) -> Array:
    """Return the matrix that carries the mean of (w[t], w[t-1], ...) one update on."""
    size = max(len(law), 2)
    matrix = np.eye(size, k=-1)
    matrix[0, : len(law)] = -step * law
    matrix[0, :2] += 1 + momentum, -momentum
    return matrix


def _settles(law: Array, momentum: float, step: float) -> bool:
    """Whether a run's mean square dies out at this step."""
    matrix = mean_companion(law, momentum, step)
    try:
        covariance = stationary_covariance(matrix)[: len(law), : len(law)]
    except ValueError:
        return False
    # The variance of w[t-tau] about its mean over tau: the mean of squares less the square of the mean.
    returned = step**2 * (covariance[0, 0] - law @ covariance @ law)
    return bool(returned < 1)


def _zero(function: Callable[[Any], Any], low: float, high: float, rising: bool) -> float:
    """The place between low and high where a function changes its sign, by halving.

    Whether it rises there is told and not asked of its ends: one of them may be zero up to rounding.
    """
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if (function(middle) > 0) == rising else (middle, high)
    return (low + high) / 2


def _check_mean(mean: float) -> None:
    if not 0 <= mean < np.inf:
        raise ValueError(f"mean={mean!r} must be at least 0 and finite")


def typical_boundary(
    probabilities: ArrayLike, rng: np.random.Generator, momentum: float = 0.0, runs: int = 24, updates: int = 1500
) -> float:
    """Measure the step at which single runs stop dying out, by running them.

    A run's size is in the long run exp(growth * t) with one growth for nearly every run. Between the mean, which
    hides what cancels, and the mean square, which a few unlucky runs decide, it tells what one run does.

    Args:
        probabilities: chance of the delays 0, 1, 2, ..., shape (longest + 1,).
        rng: source of the delays; all steps are tried on the same ones.
        momentum: m, between -1 and 1.
        runs: whose growth is averaged.
        updates: in each.

    Returns:
        The largest stable step, in units of 1 / curvature, to about 2 %.

    Raises:
        ValueError: bad probabilities or momentum.

    Cost: 3 rounds of `updates`, each with 9 steps for all runs at once.
    """
    delays = draw(probabilities, (updates, runs), rng)
    return first_unstable(
        lambda steps: growth(delays, steps, momentum) > 0, rounds=3, parts=10,
        highest=2.5 * mean_square_boundary(probabilities, momentum),
    )  # fmt: skip


def growth(delays: Array, steps: ArrayLike, momentum: float = 0.0) -> Array:
    """Return the mean growth of log |w| per update for each step, over runs with these delays.

    All weights are divided by their size every 50 updates, and what was divided out is added up. So neither growth
    nor decay leaves the range of numbers.

    Args:
        delays: shape (updates, runs).
        steps: eta a, shape (S,).
        momentum: m, between -1 and 1.

    Returns:
        float64, shape (S,): natural logarithm per update. The first quarter of a run, which is not yet typical, is
        left out.
    """
    eta = np.asarray(steps, dtype=np.float64)[:, None]
    updates, runs = delays.shape
    depth = max(int(delays.max(initial=0)) + 1, 2)
    history, velocity = np.ones((depth, len(eta), runs)), np.zeros((len(eta), runs))  # w[t] in row t mod depth
    every, grown = np.arange(runs), np.zeros((len(eta), runs))
    for t, delay in enumerate(delays):
        velocity = momentum * velocity + history[(t - delay) % depth, :, every].T
        history[(t + 1) % depth] = history[t % depth] - eta * velocity
        if t % 50 == 49 or t == updates - 1:
            size = np.sqrt((history**2).sum(axis=0))
            history /= size
            velocity /= size
            grown = grown + np.log(size) if t >= updates // 4 else 0 * grown
    return grown.mean(axis=1) / (updates - updates // 4)
