"""The parameter server's policies on real processes. Tolerances: docs/conventions.md, rows `bits` and `k-ranks`."""

import time
from typing import Any

import numpy as np
import pytest
from programs.three_ways import differences

from minigrad.optim.rules import sgd
from parallel.collectives.ring import chunk
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
    work,
)
from parallel.server.asynchronous import PULL

UPDATES = 30


def train(comm: Any, policy: Policy, servers: int = 1) -> tuple[np.ndarray, Service | None]:
    """Every worker pulls the parameters towards its own rank; the part of a server, or what a worker read last."""
    w = np.linspace(-1.0, 1.0, 5)
    rank = comm.Get_rank()
    if rank < servers:
        part = w[chunk(5, servers, rank)]
        return part, serve(comm, part, rule_update("sgd", 0.1), policy, UPDATES, servers)

    def gradient(w: np.ndarray) -> np.ndarray:
        time.sleep(1e-3 * (rank % 2))
        return w - rank / 3.0

    work(comm, w, gradient, servers)
    return w, None


def one_process(workers: int) -> np.ndarray:
    w = np.linspace(-1.0, 1.0, 5)
    for t in range(1, UPDATES + 1):
        total = w - 1 / 3.0
        for rank in range(2, workers + 1):
            total += w - rank / 3.0
        if workers > 1:
            total /= workers
        sgd(w, total, {}, 0.1, t)
    return w


@pytest.mark.parametrize("policy", [Synchronous(), StaleSynchronous(0, buffered=True)], ids=["sync", "ssp-0"])
def test_synchronous_policies_are_one_process_to_the_bit(comm: Any, policy: Policy) -> None:
    w, service = train(comm, policy)
    if service is not None:
        np.testing.assert_array_equal(w, one_process(comm.Get_size() - 1))


@pytest.mark.parametrize(
    "policy", [Asynchronous(), Window(5e-3), StaleSynchronous(1), StaleSynchronous(2, buffered=True)],
    ids=["async", "window", "ssp", "ssp-buffered"],
)  # fmt: skip
def test_every_policy_gets_its_updates_and_keeps_its_promise(comm: Any, policy: Policy) -> None:
    _, service = train(comm, policy)
    if service is not None:
        assert service.updates == UPDATES
        if isinstance(policy, StaleSynchronous):
            assert clock_spread(service.pushes) <= policy.bound


@pytest.mark.parametrize("seed", range(6))
def test_no_trace_of_stragglers_breaks_the_bound(comm: Any, seed: int) -> None:
    """Every worker has steps of its own random lengths; one in eight takes ten times as long."""
    chance = np.random.default_rng(seed)
    bound, buffered = int(chance.integers(0, 4)), bool(chance.integers(2))
    workers = comm.Get_size() - 1
    if comm.Get_rank() == SERVER:
        policy = StaleSynchronous(bound, buffered)
        updates = UPDATES // workers if buffered else UPDATES
        service = serve(comm, np.zeros(2), rule_update("sgd", 0.1), policy, updates)
        assert service.updates == updates
        assert clock_spread(service.pushes) <= bound
        for push in service.pushes:  # all gradients of the clocks before c - s are in what is read at clock c
            seen = {(other.worker, other.clock) for other in service.pushes if 0 < other.update <= push.read}
            assert {(rank, clock) for rank in range(1, workers + 1) for clock in range(push.clock - bound)} <= seen
        return
    mine = np.random.default_rng([seed, comm.Get_rank()])

    def gradient(w: np.ndarray) -> np.ndarray:
        time.sleep(mine.exponential(5e-4) * (10 if mine.random() < 1 / 8 else 1))
        return w - 1.0

    work(comm, np.zeros(2), gradient)


def test_a_synchronous_server_is_the_ring_is_one_process(comm: Any) -> None:
    """Row `k-ranks`."""
    assert all(difference <= 1e-12 for difference in differences(comm).values())


def test_two_servers_keep_a_part_each(comm: Any) -> None:
    if comm.Get_size() < 3:
        return  # two servers and nobody to work
    part, service = train(comm, Synchronous(), servers=2)
    parts = comm.gather(part if service is not None else None, SERVER)
    if comm.Get_rank() == SERVER:
        assert np.concatenate(parts[:2]).shape == (5,)


class FirstServerLast:
    """A worker's communicator on which its first message to server 0 arrives late, as on a busy network."""

    def __init__(self, comm: Any) -> None:
        self.comm, self.kept = comm, None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comm, name)

    def Send(self, array: np.ndarray, server: int, tag: int) -> None:
        if tag == PULL and server == 0:
            self.kept = array
            return
        if tag == PULL:
            time.sleep(0.2)  # by now the other worker has its parameters
        self.comm.Send(array, server, tag)
        if tag == PULL:
            time.sleep(0.6)  # by now it has pushed to server 0
            self.comm.Send(self.kept, 0, PULL)


def test_servers_and_workers_never_wait_in_a_circle(comm: Any) -> None:
    """Large parts, which no mailbox takes in: server 1 sends to worker 3, and server 0 to worker 2, who sends to 1."""
    if comm.Get_size() < 4:
        return  # two servers and two workers
    w = np.zeros(40_000)
    rank = comm.Get_rank()
    if rank < 2:
        serve(comm, w[chunk(w.size, 2, rank)].copy(), rule_update("sgd", 0.1), Asynchronous(), 6, 2)
        return

    def gradient(w: np.ndarray) -> np.ndarray:
        time.sleep(0.4 if rank == 2 else 0.0)
        return w - 1.0

    assert work(FirstServerLast(comm) if rank == 3 else comm, w, gradient, 2) >= 1
