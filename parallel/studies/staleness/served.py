"""The stability boundary of the parameter server itself: workers that take turns, in virtual time.

`boundary.py` measures the recursion. Here nobody is told of a delay: a server and D equally fast workers run the
program that they run under mpirun, and a staleness of D - 1 comes about by itself. Each number of the parameters is a
quadratic of curvature 1, and the server's rule gives each a learning rate of its own, so that one run tries many steps.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.optim.rules import sgd
from parallel.cluster import Cluster
from parallel.comm import elapse
from parallel.server import SERVER, Asynchronous, serve, work
from parallel.studies.staleness.arguments import as_momentum, at_least
from parallel.studies.staleness.boundary import first_unstable
from parallel.studies.staleness.recursion import LIMIT

Array = NDArray[Any]

ROUNDS, PARTS = 3, 40  # of the search: the last part has a width of 4 / 40^3, below 1e-4
FREE = Cluster(alpha=0.0, beta=0.0)  # messages take no time, so that equal workers take turns


def served_boundary(workers: int, momentum: float = 0.0, updates: int | None = None) -> float:
    """Find the largest stable step of an asynchronous server with so many workers, by running it.

    A run is unstable if its weight at the end swings wider than in the middle. No delay and no root is known to it;
    `critical_step(workers - 1, momentum)` is what it should come to.

    Args:
        workers: D, equally fast, at least 1.
        momentum: m of the server's rule, between -1 and 1.
        updates: length of a run; by default enough for a precision of 1e-3.

    Returns:
        The step eta a.

    Raises:
        ValueError: an argument is out of range.

    Cost: about 50 us for each of 3 * updates updates.

    >>> round(served_boundary(workers=3), 3)
    0.618
    """
    from parallel.comm import simulate  # greenlet is loaded when something is simulated

    workers, m = at_least("workers", workers, 1), float(as_momentum(momentum))
    updates = 1200 + 200 * workers if updates is None else at_least("updates", updates, 64 * workers)

    def unstable(steps: Array) -> Array:
        path = simulate(quadratics, workers + 1, FREE, args=(steps, m, updates), trace=False).results[SERVER]
        middle, end = faded_size(path[: updates // 2 + 1]), faded_size(path)
        return (end > middle) | (end > LIMIT / 2)

    return first_unstable(unstable, ROUNDS, PARTS)


def quadratics(comm: Any, steps: Array, momentum: float, updates: int) -> Array | None:
    """What each rank does: all weights begin at 1; rank 0 returns them after every update, (updates + 1, steps)."""
    w = np.ones(len(steps))
    if comm.Get_rank() != SERVER:

        def gradient(w: Array) -> Array:
            elapse(comm, 1.0, "gradient")
            return w

        work(comm, w, gradient)
        return None
    path: list[Array] = [w.copy()]
    state: dict[str, Array] = {}

    def apply(w: Array, gradient: Array, t: int) -> None:
        sgd(w, gradient, state, steps, t, momentum=momentum)  # type: ignore[arg-type]  # a rate for each number
        np.clip(w, -LIMIT, LIMIT, out=w)
        path.append(w.copy())

    serve(comm, w, apply, Asynchronous(), updates)
    return np.array(path)


def faded_size(path: Array) -> Array:
    """Root mean square of each column over the last quarter of its rows, with weights that fade out at both sides.

    So a swing whose period does not fit is not mistaken for growth.
    """
    window = len(path) // 4
    fade = np.sin(np.pi * (np.arange(window) + 0.5) / window)
    return np.sqrt(((fade[:, None] * path[-window:]) ** 2).sum(axis=0) / (fade**2).sum())
