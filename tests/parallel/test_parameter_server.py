"""The parameter server's four policies on simulated ranks: what they guarantee, and what they equal.

Tolerances: docs/conventions.md, rows `bits`, `k-ranks`, `virtual-time`.
"""

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.optim import RULES
from parallel.cluster import Cluster, Exponential
from parallel.collectives.ring import chunk
from parallel.comm import elapse, simulate
from parallel.server import (
    SERVER,
    Asynchronous,
    Policy,
    Service,
    StaleSynchronous,
    Synchronous,
    Window,
    clock_spread,
    rule_update,
    serve,
    server,
    serving,
    staleness_histogram,
    work,
    worker,
)
from parallel.server.asynchronous import PULL
from parallel.server.policies import Arrival

K_RANKS = 1e-12
SECONDS = 1e-3
N = 7
WORKERS = [1, 2, 3, 4, 5, 8]
POLICIES = {
    "asynchronous": Asynchronous,
    "synchronous": Synchronous,
    "window": lambda: Window(2e-3),
    "ssp": lambda: StaleSynchronous(1),
    "ssp-buffered": lambda: StaleSynchronous(1, buffered=True),
}


def gradient_of(rank: int, w: np.ndarray) -> np.ndarray:
    """Of a quadratic that is another one on every rank, in all its elements."""
    return (1.0 + 0.1 * np.arange(N)) * (w - rank / 3.0)


def program(
    comm: Any, policy: Any, updates: int, rule: str = "sgd", servers: int = 1, old: bool = False, lr: float = 0.1
) -> tuple[np.ndarray, Service] | int:
    rank = comm.Get_rank()
    w = np.linspace(-1.0, 1.0, N)
    if rank < servers:
        part = w[chunk(N, servers, rank)]
        apply = rule_update(rule, lr)
        service = server(comm, part, apply, updates) if old else serve(comm, part, apply, policy(), updates, servers)
        return part, service

    def gradient(parameters: np.ndarray) -> np.ndarray:
        elapse(comm, SECONDS, "gradient")
        return gradient_of(rank, parameters)

    return worker(comm, w, gradient) if old else work(comm, w, gradient, servers)


def run(policy: Any, workers: int, updates: int, cluster: Cluster | None = None, **settings: Any) -> Any:
    servers = settings.get("servers", 1)
    names = ("rule", "servers", "old", "lr")
    values = [settings.get(name, default) for name, default in zip(names, ("sgd", 1, False, 0.1), strict=True)]
    return simulate(program, workers + servers, cluster, args=(policy, updates, *values))


def synchronous_descent(workers: int, updates: int, rule: str = "sgd", servers: int = 1) -> np.ndarray:
    """One process: the mean of the workers' gradients, summed in the order of ranks."""
    w = np.linspace(-1.0, 1.0, N)
    state: dict[str, Any] = {}
    for t in range(1, updates + 1):
        total = gradient_of(servers, w)
        for rank in range(servers + 1, servers + workers):
            total += gradient_of(rank, w)
        if workers > 1:
            total /= workers
        RULES[rule](w, total, state, 0.1, t)
    return w


# ---- what the policies equal


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("rule", ["sgd", "adamw"])
def test_synchronous_is_one_process(workers: int, rule: str) -> None:
    w, service = run(Synchronous, workers, 20, rule=rule).results[SERVER]
    np.testing.assert_array_equal(w, synchronous_descent(workers, 20, rule))
    assert set(staleness_histogram(service.pushes)) == {20 * workers}
    assert (service.updates, service.dropped, clock_spread(service.pushes)) == (20, 0, 0)


def test_synchronous_does_not_depend_on_who_comes_first() -> None:
    slow = Cluster(speeds=(1, 0.3, 1, 2))
    w, _ = run(Synchronous, 3, 20, slow).results[SERVER]
    np.testing.assert_array_equal(w, synchronous_descent(3, 20))


@pytest.mark.parametrize("speeds", [(1, 1, 1, 1), (1, 0.3, 1, 2)])
def test_stale_synchronous_with_bound_0_buffered_is_synchronous_to_the_bit(speeds: tuple[float, ...]) -> None:
    cluster = Cluster(speeds=speeds)
    w, service = run(lambda: StaleSynchronous(0, buffered=True), 3, 20, cluster).results[SERVER]
    np.testing.assert_array_equal(w, synchronous_descent(3, 20))
    assert clock_spread(service.pushes) == 0


def test_stale_synchronous_with_bound_0_on_arrival_is_not_synchronous() -> None:
    w, service = run(lambda: StaleSynchronous(0), 3, 60).results[SERVER]
    assert np.abs(w - synchronous_descent(3, 20)).max() > 1e-3
    assert clock_spread(service.pushes) == 0
    assert staleness_histogram(service.pushes) == [20, 20, 20]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("policy", [Asynchronous, lambda: StaleSynchronous(inf)])
def test_asynchronous_and_unbounded_are_the_server_of_one_page(workers: int, policy: Any) -> None:
    cluster = Cluster(speeds=tuple(1.0 + 0.1 * rank for rank in range(workers + 1)))
    _, service = run(policy, workers, 60, cluster).results[SERVER]
    _, record = run(policy, workers, 60, cluster, old=True).results[SERVER]
    applied = [(push.worker, push.staleness) for push in service.pushes if push.update]
    same = 60 - workers  # then the one-page server asks for no more, while this one drops what is too much
    assert applied[:same] == [(update.worker, update.staleness) for update in record[:same]]


@pytest.mark.parametrize("speeds", [(1, 1, 1, 1), (1, 0.3, 1, 2)])
def test_stale_synchronous_without_a_bound_is_the_asynchronous_run(speeds: tuple[float, ...]) -> None:
    """Row `bits`, and every entry of the record."""
    cluster = Cluster(speeds=speeds, stragglers=Exponential(), seed=2)
    (w, service), (free, asynchronous) = (
        run(policy, 3, 60, cluster).results[SERVER] for policy in (lambda: StaleSynchronous(inf), Asynchronous)
    )
    np.testing.assert_array_equal(w, free)
    assert service.pushes == asynchronous.pushes


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=40))
def test_the_slowest_is_the_least_clock_whoever_pushes_or_dies(events: list[tuple[int, bool]]) -> None:
    policy = Asynchronous()
    policy.start((1, 2, 3, 4))
    for number, (rank, dies) in enumerate(events):
        if dies and number % 5 == 0:
            policy.gone(rank)
        elif rank in policy.clocks:
            policy.arrived(Arrival(rank, policy.clocks[rank], number, np.zeros(1)))
        assert policy.slowest == min(policy.clocks.values(), default=0)


def test_a_policy_must_say_when_those_who_wait_are_asked_again() -> None:
    """With a gate that never moves whoever has to wait would wait for ever."""

    class Mine(Policy):
        arrived, may_read = Asynchronous.arrived, Asynchronous.may_read

    with pytest.raises(NotImplementedError):
        run(Mine, 1, 3)


def test_equal_workers_take_turns_with_staleness_d_minus_1() -> None:
    _, service = run(Asynchronous, 4, 60).results[SERVER]
    assert [push.staleness for push in service.pushes if push.update] == [min(t, 3) for t in range(60)]


def test_a_long_window_is_synchronous_and_a_short_one_asynchronous() -> None:
    cluster = Cluster(alpha=1e-9, beta=0.0)
    w, service = run(lambda: Window(1.0), 3, 10, cluster).results[SERVER]
    np.testing.assert_array_equal(w, synchronous_descent(3, 10))
    assert staleness_histogram(service.pushes) == [30]
    fast = Cluster(alpha=1e-9, beta=0.0, speeds=(1, 1, 1.3, 1.7))
    _, short = run(lambda: Window(1e-7), 3, 30, fast).results[SERVER]
    _, free = run(Asynchronous, 3, 30, fast).results[SERVER]
    assert [push.worker for push in short.pushes[:30]] == [push.worker for push in free.pushes[:30]]


def test_a_window_does_not_wait_for_the_slow() -> None:
    """Two workers of 1 ms and one of 10: windows of 2 ms go on without it, and its gradient comes stale."""
    cluster = Cluster(alpha=1e-9, beta=0.0, speeds=(1, 1, 1, 0.1))
    simulation = run(lambda: Window(2e-3), 3, 12, cluster)
    _, service = simulation.results[SERVER]
    batches = np.bincount([push.update for push in service.pushes if push.update])[1:]
    assert set(batches) == {2, 3}
    assert max(push.staleness for push in service.pushes if push.worker == 3) > 1
    assert max(push.staleness for push in service.pushes if push.worker < 3 and push.update) == 0


# ---- what they guarantee

@settings(max_examples=30, deadline=None)
@given(
    speeds=st.lists(st.floats(0.1, 10), min_size=1, max_size=6),
    bound=st.integers(0, 4),
    buffered=st.booleans(),
    seed=st.integers(0, 99),
)
def test_nobody_is_farther_ahead_than_the_bound(speeds: list[float], bound: int, buffered: bool, seed: int) -> None:
    cluster = Cluster(speeds=(1, *speeds), stragglers=Exponential(), seed=seed)
    updates = 12 if buffered else 12 * len(speeds)
    _, service = run(lambda: StaleSynchronous(bound, buffered), len(speeds), updates, cluster).results[SERVER]
    assert clock_spread(service.pushes) <= bound
    assert service.updates == updates


def test_the_bound_is_reached() -> None:
    _, service = run(lambda: StaleSynchronous(3), 2, 40, Cluster(speeds=(1, 1, 50))).results[SERVER]
    assert clock_spread(service.pushes) == 3


@pytest.mark.parametrize("bound", [0, 1, 3])
def test_reads_see_all_updates_older_than_the_bound(bound: int) -> None:
    """Whoever reads at clock c has everybody's gradients of the clocks before c - s in what it reads."""
    cluster = Cluster(speeds=(1, 1, 3, 0.7), stragglers=Exponential(), seed=3)
    _, service = run(lambda: StaleSynchronous(bound), 3, 60, cluster).results[SERVER]
    for push in service.pushes:
        seen = {(other.worker, other.clock) for other in service.pushes if 0 < other.update <= push.read}
        needed = {(rank, clock) for rank in (1, 2, 3) for clock in range(push.clock - bound)}
        assert needed <= seen


@pytest.mark.parametrize("backup", [0, 1, 2])
def test_backup_workers_are_not_waited_for(backup: int) -> None:
    slow = Cluster(alpha=1e-9, beta=0.0, speeds=(1, 1, 1, 1, 0.01, 0.02))
    simulation = run(lambda: Synchronous(backup), 5, 10, slow)
    _, service = simulation.results[SERVER]
    per_round = {0: 0.1, 1: 0.05, 2: 0.001}[backup]  # the slowest that is waited for
    assert service.update_times[-1] == pytest.approx(10 * per_round, rel=1e-3)
    sizes = np.bincount([push.update for push in service.pushes if push.update])[1:]
    assert set(sizes) == {5 - backup}


# ---- several servers


@pytest.mark.parametrize("servers", [1, 2, 3, 9])
@pytest.mark.parametrize("name", POLICIES)
def test_several_servers_keep_a_part_each(servers: int, name: str) -> None:
    results = run(POLICIES[name], 3, 8, servers=servers).results
    w = np.concatenate([results[k][0] for k in range(servers)])
    assert w.shape == (N,)
    if name == "synchronous":
        np.testing.assert_array_equal(w, synchronous_descent(3, 8, servers=servers))
    assert all(results[k][1].updates == 8 for k in range(servers))


# ---- workers that die


@pytest.mark.parametrize("name", POLICIES)
def test_a_worker_that_dies_costs_its_own_gradients(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster(failures={2: 4.5e-3})
    simulation = run(POLICIES[name], 3, 30, cluster)
    _, service = simulation.results[SERVER]
    assert service.updates == 30
    assert service.lost == {2: sum(push.worker == 2 for push in service.pushes)}
    assert 0 < service.lost[2] <= 4
    assert simulation.failed == {2: 4.5e-3}
    assert f"worker 2 died after {service.lost[2]} gradients" in capsys.readouterr().err


@pytest.mark.parametrize("moment", [1e-9, 1.0e-3, 1.001e-3, 1.002e-3, 1.0035e-3])
@pytest.mark.parametrize("name", POLICIES)
def test_whatever_it_was_doing_when_it_died(name: str, moment: float) -> None:
    _, service = run(POLICIES[name], 2, 10, Cluster(failures={1: moment})).results[SERVER]
    assert service.updates == 10
    assert list(service.lost) == [1]


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(list(POLICIES)),
    workers=st.integers(2, 4),
    servers=st.integers(1, 2),
    moment=st.floats(0, 0.02),
)
def test_a_worker_may_die_while_others_are_answered(name: str, workers: int, servers: int, moment: float) -> None:
    """A message takes as long as a gradient: most of the time somebody is being answered, or waits for that."""
    cluster = Cluster(alpha=SECONDS, failures={servers + 1: moment})
    results = run(POLICIES[name], workers, 6, cluster, servers=servers).results
    assert all(service.updates == 6 for _, service in results[:servers])


def test_under_mpi_whoever_waits_for_a_worker_that_is_found_dead_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no message that tells of the death then: the send to the dead worker raises."""

    class Dead(Exception):
        """What MPI would raise."""

    class Raising:
        def __init__(self, comm: Any) -> None:
            self.comm = comm

        def __getattr__(self, name: str) -> Any:
            return getattr(self.comm, name)

        def Send(self, array: np.ndarray, dest: int, tag: int) -> None:
            if dest == 2:
                raise Dead
            self.comm.Send(array, dest, tag)

    monkeypatch.setattr(serving, "lost_rank_errors", lambda comm: (Dead,))
    monkeypatch.setattr(serving, "acknowledge_lost", lambda comm, error: {2})
    monkeypatch.setattr(serving, "listen_for_lost_ranks", lambda comm, tag, dtype: set)

    def found_dead(comm: Any) -> Any:
        w = np.ones(N)
        if comm.rank == SERVER:
            return serve(Raising(comm), w, rule_update("sgd", 0.1), Synchronous(), 5)
        if comm.rank == 2:
            elapse(comm, 1.0)  # worker 1 has pushed by then, and waits for the end of the round
            return comm.Send(np.empty(0), SERVER, PULL)
        return work(comm, w, np.copy)

    service, pushed, _ = simulate(found_dead, 3).results
    assert (service.updates, service.lost, pushed) == (5, {2: 0}, 5)


def test_all_workers_dead_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="all workers have died, after 3 of 30 updates"):
        run(Asynchronous, 1, 30, Cluster(failures={1: 3.5e-3}))


# ---- bad input


def test_a_gradient_that_is_not_finite_ends_the_run_and_spares_the_parameters() -> None:
    kept = []

    def diverging(comm: Any) -> None:
        w = np.ones(2)
        if comm.Get_rank() == SERVER:
            kept.append(w)
            serve(comm, w, rule_update("sgd", 1.0), Asynchronous(), 100)
        else:
            work(comm, w, lambda w: np.full(2, np.inf if comm.clock() > 5e-6 else 1.0))

    with pytest.raises(FloatingPointError, match="the gradient of worker 1 is not finite at update"):
        simulate(diverging, 2)
    assert np.isfinite(kept[0]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Window(0.0), "seconds=0.0 of a window must be above 0"),
        (lambda: Window(float("nan")), "seconds=nan"),
        (lambda: StaleSynchronous(float("nan")), "bound=nan must be a whole number"),
        (lambda: StaleSynchronous(-1), "bound=-1 must be a whole number of at least 0"),
        (lambda: StaleSynchronous(1.5), "bound=1.5 must be a whole number"),
        (lambda: Synchronous(-1), "backup=-1 must be a whole number"),
        (lambda: rule_update("adamx", 0.1), "name='adamx' is no rule; there are"),
        (lambda: rule_update("sgd", 0.0), "lr=0.0 must be above 0 and finite"),
        (lambda: rule_update("sgd", inf), "lr=inf must be above 0 and finite"),
        (lambda: run(Asynchronous, 0, 3), "comm must have at least 2 ranks, 1 of them servers and a worker, it has 1"),
        (lambda: run(Asynchronous, 1, -1), "updates=-1 must be a whole number of at least 0"),
        (lambda: run(lambda: Synchronous(2), 2, 3), "backup=2 must be below the number of workers, which is 2"),
    ],
)
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", POLICIES)
def test_no_updates_is_a_run(name: str) -> None:
    policy: Policy = POLICIES[name]()
    assert isinstance(policy, Policy)
    _, service = run(POLICIES[name], 2, 0).results[SERVER]
    assert (service.updates, service.pushes) == (0, [])
