"""A parameter server trains the digits' classifier on real processes, by each of its policies."""

from typing import Any

import pytest
from programs.served_digits import POLICIES, train_digits, updates_of

from parallel.server import clock_spread, staleness_histogram


@pytest.mark.parametrize("policy", POLICIES)
def test_the_digits_are_learnt(policy: str, comm: Any) -> None:
    trained = train_digits(comm, policy)
    if trained is None:
        return
    accuracy, service = trained
    assert accuracy >= 0.95
    assert service.updates == updates_of(policy)
    counts = staleness_histogram(service.pushes)
    workers = comm.Get_size() - 1
    assert sum(counts) >= updates_of(policy)
    if policy == "synchronous":
        assert counts == [workers * updates_of(policy)]
    if policy == "ssp":
        assert clock_spread(service.pushes) <= 2
    if policy == "asynchronous" and workers > 1:
        assert len(counts) > 1  # some were stale
    print(f"{policy} on {workers} workers: accuracy {accuracy:.3f}, staleness {counts}")
