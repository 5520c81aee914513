"""The observer, spawned threads and the time limit on real ranks."""

import re

import numpy as np
import pytest
from programs.observed_cases import check_exchange, exchange

from parallel import DeadlockError, elapse, observe, spawn
from parallel.comm import ANY_SOURCE, ANY_TAG, clock


def test_spans_of_every_call(comm):
    spans = exchange(comm)
    if comm.Get_rank() == 0:
        check_exchange(spans, comm.Get_size())
    else:
        assert spans == []


def test_the_wildcards_are_those_of_mpi(comm):
    from mpi4py import MPI

    assert (ANY_SOURCE, ANY_TAG) == (MPI.ANY_SOURCE, MPI.ANY_TAG)


def test_waiting_too_long_is_an_error_that_names_the_call(comm, capfd):
    observed = observe(comm, time_limit=0.2)
    with pytest.raises(DeadlockError, match=r"has waited for 0\.2 s in Recv from 0 tag 99 \(test_observe_mpi"):
        observed.Recv(np.empty(1), 0, 99)
    assert re.search(rf"rank {comm.Get_rank()} has waited", capfd.readouterr().err)
    # the receive is still posted: answer it, or it would take a later message
    requests = [comm.Isend(np.zeros(1), dest, 99) for dest in range(comm.Get_size()) if comm.Get_rank() == 0]
    for request in requests:
        request.Wait()
    comm.Barrier()


def test_time_does_not_pass_by_saying_so(comm):
    start = clock(comm)
    elapse(comm, 1000.0)
    assert 0 <= clock(comm) - start < 100


def test_a_spawned_thread_returns_and_raises_at_join(comm):
    assert spawn(comm, lambda duplicate: duplicate.Get_size()).join() == comm.Get_size()
    with pytest.raises(ZeroDivisionError):
        spawn(comm, lambda duplicate: 1 / 0).join()
