"""What must hold for an observed communicator, simulated or real."""

from typing import Any

import numpy as np

from minigrad.trace import Span, messages
from parallel.comm import ANY_SOURCE, clock, collect_spans, elapse, new_status, observe, region, spawn


def exchange(comm: Any) -> list[Span]:
    """Use every call that is observed; returns the spans of all ranks on rank 0."""
    observed = observe(comm, time_limit=20.0)
    p, rank = observed.Get_size(), observed.Get_rank()
    right, left = (rank + 1) % p, (rank - 1) % p
    x, y, z = np.full(3, rank), np.empty(3, int), np.empty(3, int)
    with region(observed, "F0"):
        elapse(observed, 1e-3)
    observed.Sendrecv(x, right, 1, y, left, 1)
    status = new_status(observed)
    requests = [observed.Irecv(z, ANY_SOURCE, 2), observed.Isend(x, right, 2)]
    requests[0].Wait(status)
    requests[1].Wait()
    assert status.Get_source() == left
    assert status.Get_tag() == 2
    assert status.Get_count() == x.nbytes
    assert (y == left).all()
    assert (z == left).all()
    if rank == 0 and p > 1:
        observed.Send(x, 1, 3)
        observed.Ssend(x, 1, 3)
    if rank == 1:
        observed.Recv(y, 0)
        observed.Recv(y, ANY_SOURCE)
    duplicate = observed.Dup()
    duplicate.Barrier()
    beside = spawn(duplicate, lambda other: other.Sendrecv(x, right, 1, z, left, 1))
    duplicate.Sendrecv(x, right, 1, y, left, 1)
    beside.join()
    duplicate.Free()
    assert clock(observed) >= 0
    return collect_spans(observed)


def check_exchange(spans: list[Span], p: int) -> None:
    """The spans of `exchange` on `p` ranks, as rank 0 has them."""
    kinds = [span.kind for span in spans]
    expected = 4 * p + (2 if p > 1 else 0)
    assert kinds.count("send") == kinds.count("recv") == expected
    assert len(messages(spans)) == expected
    assert kinds.count("collective") == 2 * p
    assert {span.rank for span in spans} == set(range(p))
    assert [span.name for span in spans if span.kind == "compute" and span.rank == p - 1] == ["F0"]
    assert all(0 <= span.start <= span.end for span in spans)
    assert {span.stream for span in spans} == {0, 1}
    for send, receive in messages(spans):
        assert send.bytes == receive.bytes == 24
        assert (send.peer, receive.peer) == (receive.rank, send.rank)
