"""The parameter server on real processes: true staleness, clean end, and a record that replays bit for bit."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from parallel.server import SERVER, replay, server, worker
from parallel.studies import async_logistic


@pytest.mark.parametrize("updates", [0, 1, 2, 50])
def test_recorded_staleness_is_the_true_one(comm: Any, updates: int) -> None:
    """The parameters are their own version number, so a gradient can tell which version it was computed at."""
    version = np.zeros((2, 2), np.float32)
    if comm.Get_rank() != SERVER:
        pushed = worker(comm, version, np.copy)
    else:
        staleness: list[int] = []

        def apply(version: np.ndarray, read: np.ndarray, t: int) -> None:
            staleness.append(int(version[1, 1] - read[1, 1]))
            version += 1

        record = server(comm, version, apply, updates)
        assert [update.staleness for update in record] == staleness
        assert len(record) == updates
        pushed = -updates
    assert sum(comm.allgather(pushed)) == 0


def test_a_worker_reads_again_where_it_wrote_last(comm: Any) -> None:
    outcome = async_logistic.program(comm, updates=100)
    if outcome is None:
        return
    assert sum(outcome.staleness_histogram) == 100
    for rank in range(1, comm.Get_size()):
        mine = [(t, update.staleness) for t, update in enumerate(outcome.record) if update.worker == rank]
        for (before, _), (t, staleness) in pairwise(mine):
            assert staleness == t - before - 1
    if comm.Get_size() == 2:
        assert outcome.staleness_histogram == [100]


def test_a_replay_of_the_record_ends_with_the_same_bits(comm: Any) -> None:
    outcome = async_logistic.program(comm, updates=200, lr=0.3, batch_size=16, seed=3)
    if outcome is not None:
        weights = np.zeros_like(outcome.weights)
        workers = range(1, comm.Get_size())
        gradients = {rank: async_logistic.make_gradient(rank, 16, 3) for rank in workers}
        replay(outcome.record, weights, async_logistic.make_apply(0.3), gradients)
        assert np.array_equal(weights, outcome.weights)  # row `bits` of docs/conventions.md


def test_logistic_regression_learns(comm: Any) -> None:
    outcome = async_logistic.program(comm, updates=600, lr=0.3)
    if outcome is not None:
        assert outcome.loss < 0.6 * np.log(2)
        assert outcome.accuracy > outcome.best_accuracy - 0.03
