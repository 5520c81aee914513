"""The asynchronous parameter server on simulated ranks: what staleness it records, and that a record replays."""

import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.optim.rules import adamw
from parallel import server as server_module
from parallel.cluster import Cluster
from parallel.comm import elapse, simulate
from parallel.server import SERVER, Update, replay, server, worker
from parallel.studies import async_logistic
from parallel.studies.staleness import simulate_quadratic

# Rows of the tolerance table in docs/conventions.md.
GRAD = 1e-6
VIRTUAL_TIME = 1e-12

WORKERS = [1, 2, 3, 4, 5, 8]
SECONDS = 1e-3


def quadratic(comm: Any, step: float, updates: int) -> tuple[list[float], list[Update]] | None:
    """Minimise w^2 / 2; the server returns w after every update and its record."""
    w = np.ones(1)
    if comm.Get_rank() != SERVER:

        def gradient(w: np.ndarray) -> np.ndarray:
            elapse(comm, SECONDS)
            return w.copy()

        worker(comm, w, gradient)
        return None
    path = [float(w[0])]

    def apply(w: np.ndarray, gradient: np.ndarray, t: int) -> None:
        w -= step * gradient
        path.append(float(w[0]))

    return path, server(comm, w, apply, updates)


def counting(comm: Any, updates: int) -> tuple[list[int], list[Update]] | int:
    """The parameters are their own version number, so a gradient can tell which version it was computed at."""
    version = np.zeros((1, 2), np.float32)
    if comm.Get_rank() != SERVER:

        def gradient(version: np.ndarray) -> np.ndarray:
            elapse(comm, SECONDS)
            return version.copy()

        return worker(comm, version, gradient)
    staleness = []

    def apply(version: np.ndarray, read: np.ndarray, t: int) -> None:
        assert t == len(staleness) + 1
        staleness.append(int(version[0, 1] - read[0, 1]))
        version += 1

    return staleness, server(comm, version, apply, updates)


# ---- staleness


@pytest.mark.parametrize("workers", WORKERS)
def test_equal_workers_take_turns_and_are_the_recursion_with_delay_d_minus_1(workers: int) -> None:
    path, record = simulate(quadratic, workers + 1, args=(0.3, 60)).results[SERVER]
    assert [update.worker for update in record] == [1 + t % workers for t in range(60)]
    assert [update.staleness for update in record] == [min(t, workers - 1) for t in range(60)]
    assert path == simulate_quadratic(workers - 1, 0.3, 60).tolist()  # row `bits`


def test_parameters_may_be_a_single_number() -> None:
    """Of shape (): w^2 / 2 once more, against the same recursion."""
    path = [1.0]

    def program(comm: Any) -> None:
        w = np.array(1.0)
        if comm.Get_rank() != SERVER:
            worker(comm, w, lambda w: w)
        else:
            server(comm, w, lambda w, gradient, t: path.append(float(np.subtract(w, 0.3 * gradient, out=w))), 10)

    simulate(program, 2)
    assert path == simulate_quadratic(0, 0.3, 10).tolist()  # row `bits`


speeds = st.lists(st.floats(0.1, 10), min_size=1, max_size=8)


@settings(max_examples=40)
@given(speeds, st.integers(0, 60))
def test_recorded_staleness_is_the_true_one_at_any_speeds(speeds: list[float], updates: int) -> None:
    ranks = len(speeds) + 1
    results = simulate(counting, ranks, Cluster(speeds=(1, *speeds)), args=(updates,)).results
    true_staleness, record = results[SERVER]
    assert [update.staleness for update in record] == true_staleness
    assert len(record) == updates
    for rank in range(1, ranks):
        assert results[rank] == sum(update.worker == rank for update in record)


@settings(max_examples=40)
@given(speeds)
def test_a_worker_reads_again_where_it_wrote_last(speeds: list[float]) -> None:
    """So its staleness + 1 sum up to the updates it lived through: D workers have a mean of about D - 1."""
    ranks = len(speeds) + 1
    _, record = simulate(counting, ranks, Cluster(speeds=(1, *speeds)), args=(80,)).results[SERVER]
    for rank in range(1, ranks):
        mine = [(t, update.staleness) for t, update in enumerate(record) if update.worker == rank]
        for (before, _), (t, staleness) in pairwise(mine):
            assert staleness == t - before - 1


def test_a_slow_worker_is_stale_and_makes_the_others_hardly_staler() -> None:
    outcome = simulate(async_logistic.program, 4, Cluster(speeds=(1, 1, 1, 0.1))).results[SERVER]
    by_worker = {
        rank: np.mean([update.staleness for update in outcome.record if update.worker == rank]) for rank in (1, 2, 3)
    }
    assert by_worker[3] > 15
    assert by_worker[1] < 1.3
    assert by_worker[2] < 1.3


# ---- the end


@pytest.mark.parametrize(("workers", "updates"), [(1, 0), (4, 0), (5, 3), (3, 7)])
def test_it_ends_without_a_message_too_many(workers: int, updates: int) -> None:
    simulation = simulate(counting, workers + 1, args=(updates,))
    assert simulation.messages == 2 * updates + 2 * workers
    assert sum(simulation.results[1:]) == updates


def test_virtual_time_of_one_worker() -> None:
    alpha, beta, updates, nbytes = 2e-5, 3e-9, 10, 8
    simulation = simulate(counting, 2, Cluster(alpha, beta), args=(updates,))
    expected = 2 * alpha + updates * (SECONDS + 2 * (alpha + beta * nbytes))  # PULL, STOP; each WORK, PUSH
    assert simulation.time == pytest.approx(expected, rel=VIRTUAL_TIME)


# ---- replay and logistic regression


@pytest.mark.parametrize("seed", [0, 1])
def test_a_replay_of_the_record_ends_with_the_same_bits(seed: int) -> None:
    cluster = Cluster(speeds=(1, 1, 0.7, 0.2))
    outcome = simulate(async_logistic.program, 4, cluster, args=(200, 0.5, 16, seed)).results[SERVER]
    weights = np.zeros_like(outcome.weights)
    gradients = {rank: async_logistic.make_gradient(rank, 16, seed) for rank in (1, 2, 3)}
    replay(outcome.record, weights, async_logistic.make_apply(0.5), gradients)
    assert np.array_equal(weights, outcome.weights)
    assert max(update.staleness for update in outcome.record) > 5


def test_any_optimizer_rule_can_serve() -> None:
    def rule() -> server_module.Apply:
        state: dict[str, np.ndarray] = {}
        return lambda weights, gradient, t: adamw(weights, gradient, state, 0.05, t)

    def program(comm: Any) -> tuple[np.ndarray, list[Update]] | int:
        weights = np.zeros(async_logistic.FEATURES + 1)
        rank = comm.Get_rank()
        if rank != SERVER:
            return worker(comm, weights, async_logistic.make_gradient(rank, 16, seed=0))
        return weights, server(comm, weights, rule(), 100)

    served, record = simulate(program, 3).results[SERVER]
    points, labels, _ = async_logistic.make_data(0, "test")
    assert async_logistic.loss(served, points, labels) < 0.5
    replayed = np.zeros_like(served)
    replay(record, replayed, rule(), {rank: async_logistic.make_gradient(rank, 16, 0) for rank in (1, 2)})
    assert np.array_equal(served, replayed)


def test_one_worker_is_ordinary_sgd() -> None:
    outcome = simulate(async_logistic.program, 2, args=(50, 0.3, 8, 4)).results[SERVER]
    weights = np.zeros_like(outcome.weights)
    gradient = async_logistic.make_gradient(1, 8, 4)
    for _ in range(50):
        weights -= 0.3 * gradient(weights)
    assert np.array_equal(weights, outcome.weights)
    assert outcome.staleness_histogram == [50]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_logistic_regression_learns_what_can_be_learnt(seed: int) -> None:
    cluster = Cluster(speeds=(1, 1, 0.8, 0.5, 0.3))
    outcome = simulate(async_logistic.program, 5, cluster, args=(600, 0.3, 32, seed)).results[SERVER]
    assert outcome.loss < 0.6 * np.log(2)
    assert outcome.best_accuracy > 0.75
    assert outcome.accuracy > outcome.best_accuracy - 0.03
    assert sum(outcome.staleness_histogram) == 600


def test_the_simulated_run_is_the_same_every_time() -> None:
    cluster = Cluster(speeds=(1, 1, 0.8, 0.3))
    first, second = (simulate(async_logistic.program, 4, cluster).results[SERVER] for _ in range(2))
    assert first.record == second.record
    assert np.array_equal(first.weights, second.weights)


@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_of_logistic_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, labels, _ = async_logistic.make_data(seed, "train")
    weights, direction = rng.standard_normal((2, async_logistic.FEATURES + 1))
    difference = (
        async_logistic.loss(weights + 1e-5 * direction, points, labels)
        - async_logistic.loss(weights - 1e-5 * direction, points, labels)
    ) / 2e-5
    analytic = async_logistic.loss_gradient(weights, points, labels) @ direction
    assert analytic == pytest.approx(difference, rel=GRAD)


def test_large_logits_do_not_overflow() -> None:
    assert async_logistic.sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
    points = np.array([[1e4], [-1e4]])
    assert async_logistic.loss(np.ones(1), points, np.array([1.0, 1.0])) == pytest.approx(5e3)


def test_the_example_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "parallel.studies.async_logistic"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "accuracy" in printed
    assert "staleness  0:    1 updates" in printed


# ---- bad arguments


def test_a_server_needs_workers() -> None:
    with pytest.raises(ValueError, match=r"^comm must have at least 2 ranks, a server and a worker, it has 1"):
        simulate(counting, 1, args=(5,))


@pytest.mark.parametrize("updates", [-1, 2.5, "9"])
def test_updates_must_be_whole(updates: Any) -> None:
    with pytest.raises(ValueError, match=r"^updates=.* must be a whole number of at least 0"):
        simulate(counting, 2, args=(updates,))


@pytest.mark.parametrize(("name", "args"), [("updates", (0,)), ("batch_size", (5, 0.5, 0))])
def test_the_example_refuses_bad_arguments(name: str, args: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0 must be a whole number of at least 1"):
        simulate(async_logistic.program, 2, args=args)


def test_a_gradient_of_another_shape_is_refused() -> None:
    def program(comm: Any) -> None:
        if comm.Get_rank() == SERVER:
            server(comm, np.zeros(3), lambda weights, gradient, t: None, 5)
        else:
            worker(comm, np.zeros(3), lambda weights: np.zeros(2))

    with pytest.raises(ValueError, match=r"^gradient has shape \(2,\), the parameters have \(3,\)"):
        simulate(program, 3)
