"""Backup workers and the race of the policies: what is measured in virtual time, against theory and a real run.

Tolerances: docs/conventions.md, rows `sampled`, `same-math`, `virtual-time`.
"""

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

from parallel.cluster import Cluster, Exponential, Fixed, LogNormal, OneSlow
from parallel.comm import elapse, simulate
from parallel.server import Asynchronous, StaleSynchronous, Synchronous, clock_spread, rule_update, serve, work
from parallel.studies.stragglers import (
    BoundCurve,
    bound_curve,
    exponential_efficiency,
    exponential_round,
    interrupted_round,
    race,
    replay_losses,
    server_round,
    throughput,
    time_to,
)
from parallel.studies.stragglers.race import CURVATURES, FAR, WAYS

SAMPLED = 0.02
SAME_MATH = 1e-12
VIRTUAL_TIME = 1e-12


@pytest.mark.parametrize(("needed", "backup"), [(1, 0), (1, 3), (4, 1), (8, 0), (8, 2)])
def test_a_round_is_a_difference_of_harmonic_numbers(needed: int, backup: int) -> None:
    def harmonic(n: int) -> Fraction:
        return sum((Fraction(1, k) for k in range(1, n + 1)), Fraction(0))

    assert exponential_round(needed, backup) == float(harmonic(needed + backup) - harmonic(backup))
    if not backup:
        assert exponential_round(needed) == pytest.approx(1 / exponential_efficiency(needed), rel=SAME_MATH)


@pytest.mark.parametrize(("needed", "backup"), [(4, 0), (4, 1), (8, 2)])
def test_interrupted_rounds_follow_it(needed: int, backup: int) -> None:
    expected = exponential_round(needed, backup)
    assert interrupted_round(needed, backup, rounds=4000) == pytest.approx(expected, rel=SAMPLED)


def test_a_server_that_interrupts_nobody_is_slower_unless_it_waits_for_all() -> None:
    assert server_round(4, 0, rounds=2000) == pytest.approx(exponential_round(4), rel=SAMPLED)
    assert server_round(8, 2, rounds=1000) > 1.15 * exponential_round(8, 2)


def test_rounds_of_equal_steps_take_one_step() -> None:
    assert interrupted_round(3, 2, Fixed(1.0), rounds=5) == pytest.approx(1.0, rel=VIRTUAL_TIME)
    assert server_round(3, 2, Fixed(1.0), rounds=5) == pytest.approx(1.0, rel=VIRTUAL_TIME)


@pytest.mark.parametrize(("needed", "backup"), [(0, 1), (2, -1)])
def test_rounds_that_cannot_be_are_refused(needed: int, backup: int) -> None:
    with pytest.raises(ValueError, match=r"^(needed|backup)="):
        exponential_round(needed, backup)


# ---- the race


def trained(comm: Any, policy: Any, updates: int, rate: float, momentum: float) -> tuple[np.ndarray, Any] | None:
    """The real thing: a server that learns the quadratic of the replay."""
    w = np.ones(len(CURVATURES))
    if comm.Get_rank() == 0:
        path = [w.copy()]
        rule = rule_update("sgd", rate, momentum=momentum)

        def apply(w: np.ndarray, gradient: np.ndarray, t: int) -> None:
            rule(w, gradient, t)
            path.append(w.copy())

        return path, serve(comm, w, apply, policy(), updates)

    def gradient(w: np.ndarray) -> np.ndarray:
        elapse(comm, 1.0)
        return CURVATURES * w

    work(comm, w, gradient)
    return None


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("way", WAYS)
def test_a_replay_is_what_the_server_learns(way: str, momentum: float) -> None:
    law, rate = Exponential(), 0.01
    service = race(WAYS[way], law, seconds=12.0, workers=4, seed=5)
    together = sum(push.update > 0 for push in service.pushes) / service.updates
    cluster = Cluster(alpha=0.0, beta=0.0, stragglers=law, seed=5)
    arguments = (WAYS[way], service.updates, rate * together, momentum)
    path, real = simulate(trained, 5, cluster, args=arguments, trace=False).results[0]
    assert real.pushes == service.pushes  # what is learnt does not change who comes when
    times = np.array([0.0, *service.update_times])
    losses = replay_losses(service, np.array([0.5 * rate, rate]), times, momentum)[:, 1]
    expected = [float((CURVATURES * w**2).sum() / CURVATURES.sum()) for w in path]
    last_at = np.searchsorted(service.update_times, times, side="right")  # several updates may share a time
    np.testing.assert_allclose(losses, np.array(expected)[last_at], rtol=SAME_MATH)


def test_a_replay_that_diverges_is_held() -> None:
    service = race(Asynchronous, Exponential(), 40.0)
    losses = replay_losses(service, np.array([5.0]), np.array([0.0, 39.0]))
    assert losses[0, 0] == 1.0
    assert np.isfinite(losses).all()
    assert losses[1, 0] > 0.1 * FAR**2


def test_throughput() -> None:
    """Row `sampled`, five standard errors for the asynchronous one: a worker's steps are independent."""
    assert throughput(race(Asynchronous, Fixed(1.0), 100.0)) == pytest.approx(1.0, rel=SAMPLED)
    assert throughput(race(Asynchronous, Exponential(), 100.0)) == pytest.approx(1.0, abs=5 / np.sqrt(8 * 100))
    slow = OneSlow(rank=1, times=5.0)
    assert throughput(race(Synchronous, slow, 100.0)) == pytest.approx(0.2, rel=VIRTUAL_TIME)
    assert throughput(race(partial(Synchronous, 1), slow, 100.0)) == pytest.approx(7 / 8, rel=VIRTUAL_TIME)
    assert throughput(race(partial(StaleSynchronous, 4), slow, 400.0)) == pytest.approx(0.2, rel=0.1)
    assert throughput(race(Asynchronous, slow, 400.0)) == pytest.approx((7 + 0.2) / 8, rel=SAMPLED)


def test_a_race_lasts_long_enough() -> None:
    for way in WAYS.values():
        assert race(way, LogNormal(1.0), 17.0, workers=3).update_times[-1] >= 17.0


def test_time_to_a_target_is_when_it_stays() -> None:
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    columns = [1.0, 0.4, 0.6, 0.4, 0.3], [0.1] * 5, [1.0, 1.0, 1.0, 0.4, 0.6], [1.0] * 5
    losses = np.array(columns).T
    assert time_to(0.5, times, losses).tolist() == [3.0, 0.0, 4.0, 4.0]


def test_a_bound_costs_throughput_and_holds_staleness() -> None:
    calls: list[None] = []
    bounds = (0, 2, 8, None)
    rates = np.array([0.01, 0.02])
    curve = bound_curve(Exponential(), rates, 0.9, 0.01, 60.0, 3, bounds, lambda: calls.append(None))
    assert len(calls) == 4
    assert (np.diff(curve.throughput) > 0).all()
    assert (np.diff(curve.staleness[:, 0]) > 0).all()
    assert curve.staleness[0, 2] == 7  # s = 0: all read at once, and the last of eight comes after seven others
    assert curve.losses.shape == (4, 241, 2)
    assert np.isfinite(curve.losses).all()
    assert curve.reached[curve.best(0), 0] == curve.reached[:, 0].min()
    for bound in (0, 2, 8):
        assert clock_spread(race(partial(StaleSynchronous, bound), LogNormal(1.5), 60.0).pushes) <= bound


def test_of_equal_bounds_the_loosest_is_best() -> None:
    """A bound that brings nothing is none that one would choose."""
    reached = np.array([[5.0, 3.0], [4.0, 3.0], [4.0, 7.0]])
    nothing = np.zeros(3)
    curve = BoundCurve((0, 4, None), nothing, nothing, nothing, nothing, np.array([0.1, 0.2]), reached)
    assert [curve.best(0), curve.best(1)] == [2, 1]


def test_near_what_staleness_bears_the_best_bound_is_neither_0_nor_none() -> None:
    """The claim of the picture, at its rates, on fewer races."""
    curve = bound_curve(Exponential(), np.array([0.01, 0.02]), 0.9, 0.01, 120.0, 8, (0, 4, None))
    small, large = curve.reached.T
    assert small[2] < small[1] < small[0]
    assert large[1] < 0.95 * min(large[0], large[2])
