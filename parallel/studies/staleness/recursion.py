"""The recursion itself, run for many delays and steps at once."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from parallel.studies.staleness.arguments import as_delays, as_finite, at_least

Array = NDArray[Any]

# A run whose |w| reaches this has diverged. It stays there, so that squares and ratios stay finite as well.
LIMIT = 1e100


def iterate(tau: ArrayLike, step: ArrayLike, start: float = 1.0) -> Iterator[Array]:
    """Yield w[0], w[1], w[2], ... of the recursion without end, for many delays and steps at once.

    Before the first update every reader has seen only w[0], so w[t] = start for t < 0. A weight that reaches
    LIMIT in magnitude has diverged and is held there: no infinity and no NaN ever appears.

    Args:
        tau: staleness in updates, whole numbers of at least 0; broadcasts against `step`.
        step: eta a.
        start: w[0].

    Yields:
        float64 arrays of the shape that `tau` and `step` have together.

    Raises:
        ValueError: `tau` is negative or not whole, or `step` or `start` is not finite.

    Cost: O(number of cells) per update; holds max(tau) + 1 values of each.
    """
    tau, step = np.broadcast_arrays(as_delays(tau), as_finite("step", step))
    depth = int(tau.max(initial=0)) + 1
    history = np.full((depth, *step.shape), as_finite("start", start))  # w[t] lives in row t mod depth
    cell: tuple[Array, ...] = tuple(np.indices(step.shape, sparse=True))
    for t in count():
        w = history[t % depth]
        yield w.copy()
        stale = history[((t - tau) % depth, *cell)]  # each cell looks back by its own tau
        updated = np.clip(w - step * stale, -LIMIT, LIMIT)
        history[(t + 1) % depth] = np.where(np.abs(w) < LIMIT, updated, w)


def simulate_quadratic(tau: ArrayLike, step: ArrayLike, iterations: int, start: float = 1.0) -> Array:
    """Return the whole trajectory w[0], ..., w[iterations] of the quadratic model.

    Args:
        tau: staleness in updates, whole numbers of at least 0; broadcasts against `step`.
        step: eta a, a number or an array of any shape.
        iterations: number of updates, at least 0.
        start: w[0], also what was read before the first update.

    Returns:
        float64, shape (iterations + 1, ...). A trajectory that ends at -LIMIT or LIMIT has diverged.

    Raises:
        ValueError: `tau` or `iterations` is negative or not whole, or `step` or `start` is not finite.

    >>> simulate_quadratic(tau=1, step=0.5, iterations=4)
    array([ 1.  ,  0.5 ,  0.  , -0.25, -0.25])
    """
    iterations = at_least("iterations", iterations, 0)
    return np.stack(list(islice(iterate(tau, step, start), iterations + 1)))


def amplitudes(tau: Array, step: Array, ends: list[int]) -> list[Array]:
    """Return the root mean square of w over the 2 tau + 1 values up to each iteration in `ends`.

    Why that many: at the critical step the weight oscillates with a period of exactly 4 tau + 2 updates. The
    squares over half a period have the same sum wherever the half begins, so that the amplitude is free of
    the ripple which a single w or a maximum would show.
    """
    span = 2 * tau + 1
    sums: list[Array] = [np.zeros(np.broadcast_shapes(tau.shape, step.shape)) for _ in ends]
    for t, w in enumerate(islice(iterate(tau, step), max(ends) + 1)):
        for end, total in zip(ends, sums, strict=True):
            if end - span.max() < t <= end:
                total += np.where(t > end - span, w * w, 0)
    return [np.sqrt(total / span) for total in sums]
