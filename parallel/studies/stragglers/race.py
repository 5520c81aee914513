"""The race of the policies: steps that come fast against steps that are good, on one clock.

Who waits for nobody makes more updates in a second, and each with older gradients. What counts is the loss against
time. The arrivals come from the parameter server itself, run in virtual time under a straggler law. They do not depend
on what is learnt. So one run of the server serves all learning rates: its record is replayed with each of them.

Every gradient has the same weight. A mean of k gradients takes a step k times as long as one gradient alone, or a
synchronous run would make an eighth of the way with eight workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parallel.cluster import Cluster, Stragglers
from parallel.comm import elapse, simulate
from parallel.server import (
    SERVER,
    Asynchronous,
    Policy,
    Service,
    StaleSynchronous,
    Synchronous,
    Window,
    serve,
    work,
)

Array = NDArray[Any]

WORKERS = 8
CURVATURES = np.geomspace(0.02, 1.0, 8)  # of the loss: the mean of a w^2 / 2 over eight weights, all 1 at the start
FAR = 1e6  # a weight is held there; the run has left

WAYS: dict[str, Callable[[], Policy]] = {
    "synchronous": Synchronous,
    "2 backup workers": partial(Synchronous, 2),
    "window of half a step": partial(Window, 0.5),
    "bound 4 (SSP)": partial(StaleSynchronous, 4),
    "asynchronous": Asynchronous,
}


def race(
    policy: Callable[[], Policy], law: Stragglers, seconds: float, workers: int = WORKERS, seed: int = 0
) -> Service:
    """The record of a server and its workers, whose steps take 1 s on average, in virtual time.

    Args:
        policy: Makes a fresh policy.
        law: Of the time of each step.
        seconds: For how long at least.
        workers: How many.
        seed: Of the draws.

    Returns:
        What rank 0 has noted; messages take no time.

    Cost: about 100 us a gradient.
    """
    cluster = Cluster(alpha=0.0, beta=0.0, stragglers=law, seed=seed)
    updates = int(seconds)
    while True:
        run = simulate(racing, workers + 1, cluster, args=(policy, updates), trace=False)
        service: Service = run.results[SERVER]
        if service.update_times[-1] >= seconds:
            return service
        updates = int(1.2 * updates * seconds / service.update_times[-1]) + 1


def racing(comm: Any, policy: Callable[[], Policy], updates: int) -> Service | None:
    """What each rank does: nothing is learnt here, it only takes its time."""
    parameters = np.zeros(1)
    if comm.Get_rank() == SERVER:
        return serve(comm, parameters, lambda parameters, gradient, t: None, policy(), updates)

    def gradient(parameters: Array) -> Array:
        elapse(comm, 1.0, "gradient")
        return parameters

    work(comm, parameters, gradient)
    return None


def applied_per_update(service: Service) -> float:
    """Mean number of gradients in an update."""
    return sum(push.update > 0 for push in service.pushes) / service.updates


def throughput(service: Service, workers: int = WORKERS) -> float:
    """Applied gradients for each worker and second; 1 if nobody ever waits and a step takes 1 s on average."""
    return service.updates * applied_per_update(service) / service.update_times[-1] / workers


def replay_losses(service: Service, rates: Array, times: Array, momentum: float = 0.0) -> Array:
    """Repeat a run from its record on a quadratic of eight curvatures, and look at the loss at given times.

    Args:
        service: The record; what was learnt there does not matter.
        rates: Learning rates for one gradient, shape (R,); an update of k gradients on average takes k times as much.
        times: When to look, in s, shape (T,).
        momentum: Of the server's rule, v = momentum v + gradient, w = w - rate v.

    Returns:
        Losses over that of the start, shape (T, R). A weight that leaves is held at FAR: nothing becomes infinite.

    Cost: a few operations on 8 x R numbers for each gradient; memory for all versions of the parameters.
    """
    reads: list[list[int]] = [[] for _ in range(service.updates + 1)]
    for push in service.pushes:
        reads[push.update].append(push.read)  # those of number 0 were dropped
    steps = np.asarray(rates, np.float64) * applied_per_update(service)
    curvature = CURVATURES[:, None]
    versions = np.ones((service.updates + 1, len(CURVATURES), len(steps)))
    velocity = np.zeros(versions.shape[1:])
    for update in range(1, service.updates + 1):
        gradient = curvature * versions[reads[update]].mean(axis=0)
        velocity = momentum * velocity + gradient
        versions[update] = np.clip(versions[update - 1] - steps * velocity, -FAR, FAR)
        if service.update_times[update - 1] > times[-1]:
            break
    seen = versions[np.searchsorted(service.update_times, times, side="right")]
    losses: Array = (curvature * seen**2).mean(axis=1) / CURVATURES.mean()
    return losses


def time_to(target: float, times: Array, losses: Array) -> Array:
    """When a loss comes below `target` to stay, over `times`; the last time where it does not.

    Args:
        target: Above 0.
        times: Shape (T,).
        losses: Shape (T, ...).

    Returns:
        Shape (...).
    """
    above = losses > target
    last = len(times) - np.argmax(above[::-1], axis=0)  # the first index after the last that is above
    last = np.where(above.any(axis=0), last, 0)
    found: Array = np.asarray(times)[np.minimum(last, len(times) - 1)]
    return found


@dataclass(frozen=True)
class BoundCurve:
    """What a bound on the staleness costs and brings.

    Attributes:
        bounds: S bounds; the last, None, is no bound: the asynchronous run.
        throughput: (S,) of gradients, 1 if nobody waits.
        staleness: (S, 3) mean, 95 % quantile and largest.
        times: (T,) s.
        losses: (S, T, R) mean over races.
        rates: (R,).
        reached: (S, R) s after which the target was reached to stay; the last of `times` where it was not.
    """

    bounds: tuple[int | None, ...]
    throughput: Array
    staleness: Array
    times: Array
    losses: Array
    rates: Array
    reached: Array

    def best(self, rate: int) -> int:
        """Index of the bound that is first at the target at rate number `rate`; of equal ones the loosest."""
        return len(self.bounds) - 1 - int(np.argmin(self.reached[::-1, rate]))


BOUNDS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, None)


def bound_curve(
    law: Stragglers, rates: Array, momentum: float, target: float, seconds: float, races: int,
    bounds: tuple[int | None, ...] = BOUNDS, advance: Callable[[], None] = lambda: None, seed: int = 0,
) -> BoundCurve:  # fmt: skip
    """Race every bound under a straggler law, and look when each reaches a target.

    Args:
        law: Of the time of each step.
        rates: Learning rates for one gradient, shape (R,).
        momentum: Of the server's rule.
        target: A loss, over that of the start.
        seconds: Length of a race.
        races: How many for each bound, each with its own luck.
        bounds: None for no bound.
        advance: Called after each bound.
        seed: Of the first race.
    """
    times = np.linspace(0.0, seconds, 4 * int(seconds) + 1)
    rows = []
    for bound in bounds:
        policy = Asynchronous if bound is None else partial(StaleSynchronous, bound)
        services = [race(policy, law, seconds, seed=seed + number) for number in range(races)]
        stale = [push.staleness for service in services for push in service.pushes if push.update]
        losses = np.mean([replay_losses(service, rates, times, momentum) for service in services], axis=0)
        rows.append(
            (
                np.mean([throughput(service) for service in services]),
                (np.mean(stale), np.quantile(stale, 0.95), max(stale)),
                losses,
                time_to(target, times, losses),
            )
        )
        advance()
    fast, stale_rows, losses_rows, reached = zip(*rows, strict=True)
    return BoundCurve(
        bounds, np.array(fast), np.array(stale_rows), times, np.array(losses_rows), np.asarray(rates), np.array(reached)
    )
