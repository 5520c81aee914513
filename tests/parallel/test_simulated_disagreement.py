"""The contract of docs/simulated-world.md for collectives on which ranks do not agree, or that get wrong arguments."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from parallel import Cluster, elapse, simulate
from parallel.comm import MPI, DeadlockError, MismatchError, UnfinishedError

ALPHA, BETA = 2.0, 0.125  # binary fractions, so that times can be compared exactly
CLUSTER = Cluster(alpha=ALPHA, beta=BETA, poll=0.5)


def run(program, ranks=2, cluster=CLUSTER, **keywords):
    return simulate(program, ranks, cluster, **keywords)


def on_rank(*programs):
    """The program whose rank r runs programs[r]."""
    return lambda comm: programs[comm.Get_rank()](comm)


def place(function, text=""):
    """file:line of the line of `function` that contains `text`."""
    lines, first = inspect.getsourcelines(function)
    return f"{Path(__file__).name}:{first + next(i for i, line in enumerate(lines) if text in line)}"


# ---- rules 47 to 49: what goes wrong


def reduces(comm):
    comm.Reduce(np.zeros(4), np.zeros(4), op=MPI.SUM, root=0)


@pytest.mark.parametrize(
    ("other", "differ"),
    [
        (lambda comm: comm.Reduce(np.zeros(3), np.zeros(3), op=MPI.SUM, root=0), "size"),
        (lambda comm: comm.Reduce(np.zeros(4, "f4"), np.zeros(4, "f4"), op=MPI.SUM, root=0), "dtype"),
        (lambda comm: comm.Reduce(np.zeros(4), np.zeros(4), op=MPI.MAX, root=0), "reduction"),
        (lambda comm: comm.Reduce(np.zeros(4), np.zeros(4), op=MPI.SUM, root=1), "root"),
        (lambda comm: comm.Reduce(np.zeros(2, "f4"), np.zeros(2, "f4"), op=MPI.SUM, root=0), "size and dtype"),
        (lambda comm: comm.Bcast(np.zeros(4)), "operation"),
        (lambda comm: (comm.Barrier(), reduces(comm)), "operation"),
    ],
)
def test_rule_47_what_disagrees_is_named_with_both_lines(other, differ):
    with pytest.raises(MismatchError) as caught:
        run(on_rank(reduces, reduces, other), 3)
    text = str(caught.value)
    assert text.startswith("rank 2 calls ")
    here = Path(__file__).name
    assert re.search(rf"\({here}:\d+\) where rank 0 calls Reduce of 4 float64 with SUM, root 0 ", text)
    assert f"({place(reduces, 'comm.Reduce')}); " in text
    assert f"these differ in {differ}" in text


def test_rule_47_the_line_of_a_request_is_where_it_was_started():
    def first(comm):
        request = comm.Iallreduce(np.zeros(1), np.zeros(1))
        elapse(comm, 1.0)
        request.Wait()

    def second(comm):
        comm.Iallreduce(np.zeros(2), np.zeros(2)).Wait()

    with pytest.raises(MismatchError) as caught:
        run(on_rank(first, second))
    assert f"({place(first, 'comm.Iallreduce')})" in str(caught.value)
    assert f"({place(second, 'comm.Iallreduce')})" in str(caught.value)


def test_rule_47_blocks_that_do_not_fit():
    def gathers(comm):
        comm.Gatherv(np.zeros(comm.rank + 1), [np.zeros(9), [1, 1, 3]] if comm.rank == 0 else None)

    def exchanges(comm):
        comm.Alltoallv([np.zeros(4), [2, 2]], [np.zeros(4), [2, 1 + comm.rank]])

    where = r"\(rank 1 at .*\.py:\d+, rank 0 at .*\.py:\d+\)"
    with pytest.raises(MismatchError, match=rf"rank 1 sends 2 elements where the root has 1 for it {where}"):
        run(gathers, 3)
    with pytest.raises(MismatchError, match=r"Alltoallv: rank 1 sends 2 elements where rank 0 has 1 for it"):
        run(exchanges)


def test_rule_47_a_function_made_on_each_rank_is_the_same_operation():
    def program(comm):
        return comm.allreduce(comm.rank, op=lambda a, b: a * 10 + b)

    assert run(program, 3).results == [12, 12, 12]
    with pytest.raises(MismatchError, match="differ in reduction"):
        run(lambda comm: comm.allreduce(1, op=min if comm.rank else max))


def test_rule_48_whoever_never_comes_is_named():
    def program(comm):
        if comm.rank % 2 == 0:
            comm.Allreduce(np.zeros(1), np.zeros(1))
        elif comm.rank == 1:
            comm.Recv(np.zeros(1), 0)

    with pytest.raises(DeadlockError) as caught:
        run(program, 4)
    line = place(program, "comm.Allreduce")
    first = f"rank 0 waits in Allreduce for ranks 1, 3 ({line})"
    for text in (first, "rank 1 waits in Recv from 0", "ended already: rank 3"):
        assert text in str(caught.value)
    assert [w.peers for w in caught.value.waiting] == [(1, 3), (0,), (1, 3)]


@pytest.mark.parametrize("call", ["Barrier", "Ibarrier"])
def test_rule_48_a_rank_that_has_failed_does_not_come(call):
    def program(comm):
        elapse(comm, 5.0)
        request = getattr(comm, call)()
        if request is not None:
            request.Wait()

    with pytest.raises(DeadlockError) as caught:
        run(program, 3, Cluster(alpha=ALPHA, beta=BETA, failures={1: 4.0}))
    assert {(w.rank, w.peers) for w in caught.value.waiting} == {(0, (1,)), (2, (1,))}
    assert "rank 1 failed at 4 s" in str(caught.value)


def test_rule_48_many_are_counted_and_requests_named():
    def program(comm):
        if comm.rank == 0:
            comm.Ibarrier().Wait()

    with pytest.raises(DeadlockError) as caught:
        run(program, 100)
    assert "rank 0 waits in Wait for Ibarrier for ranks 1, 2, 3, 4, 5, 6, 7, 8 and 91 more" in str(caught.value)
    assert caught.value.waiting[0].peers == tuple(range(1, 100))


def test_rule_48_a_request_never_waited_for_is_told():
    def program(comm):
        comm.Iallreduce(np.zeros(1), np.zeros(1))

    with pytest.raises(UnfinishedError) as caught:
        run(program)
    assert f"rank 1 never waited for Iallreduce ({place(program, 'comm.Iall')})" in str(caught.value)
    with pytest.raises(UnfinishedError, match=r"Ibarrier for rank 1 .*, and nobody answered it"):
        run(lambda comm: comm.Ibarrier() if comm.rank == 0 else None)


READ_ONLY = np.zeros(4)
READ_ONLY.flags.writeable = False
X = np.zeros(8)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda c: c.Bcast(X, root=2), ValueError, r"Bcast\(root=2\): root must be a rank of .*, 0 to 1"),
        (lambda c: c.Bcast(X, root=-1), ValueError, "root must be a rank"),
        (lambda c: c.Bcast(X, root=1.0), TypeError, "root must be an integer"),
        (lambda c: c.bcast(1, root=7), ValueError, r"bcast\(root=7\)"),
        (lambda c: c.Bcast([1.0, 2.0]), TypeError, "Bcast: buf must be an array or"),
        (lambda c: c.Bcast(None), TypeError, "must be an array here"),
        (lambda c: c.Bcast(X[::2]), ValueError, r"Bcast: buf of shape \(4,\) must be contiguous"),
        (lambda c: c.Bcast(READ_ONLY, root=0), ValueError, "buf is read-only"),
        (lambda c: c.Bcast(np.array([None])), TypeError, "its objects live on one rank"),
        (lambda c: c.Bcast(np.zeros(2, ">f8")), TypeError, "which MPI has no type for"),
        (lambda c: c.Bcast([X, 9]), ValueError, "has 8 elements, and 9 are named"),
        (lambda c: c.Bcast([X, -1]), ValueError, "count -1, which must be 0 or more"),
        (lambda c: c.Bcast([X, 1.5, "d"]), TypeError, "count 1.5, which must be an integer"),
        (lambda c: c.Bcast([np.zeros(3, "u1"), MPI.SHORT]), ValueError, "not a whole number of int16"),
        (lambda c: c.Allreduce(X, np.zeros(7)), ValueError, "sendbuf and recvbuf do not fit: 8 elements, and 7"),
        (lambda c: c.Allreduce(X, np.zeros(8, "f4")), TypeError, "dtypes that differ: float64 and float32"),
        (lambda c: c.Allreduce(X, X), ValueError, "share memory; pass MPI.IN_PLACE"),
        (lambda c: c.Allreduce(X[:5], X[3:]), ValueError, "share memory"),
        (lambda c: c.Allreduce(MPI.IN_PLACE, READ_ONLY), ValueError, "recvbuf is read-only"),
        (lambda c: c.Allreduce(X, np.zeros(8), MPI.BAND), TypeError, "op=BAND is not defined for dtype float64"),
        (lambda c: c.Allreduce(X, np.zeros(8), MPI.MAXLOC), TypeError, r"pass pairs, as \[x, MPI.DOUBLE_INT\]"),
        (lambda c: c.Allreduce(X > 0, X < 0, MPI.SUM), TypeError, "op=SUM is not defined for dtype bool"),
        (lambda c: c.Allreduce(X, np.zeros(8), max), TypeError, r"op=max combines Python objects \(allreduce\)"),
        (lambda c: c.Allreduce(X, np.zeros(8), None), TypeError, "op=None must be an operation"),
        (lambda c: c.allreduce(1, "sum"), TypeError, "allreduce: op='sum' must be an operation"),
        (lambda c: c.Gather(X, None, root=1), TypeError, "Gather: recvbuf must be an array here"),
        (lambda c: c.Gather(X, np.zeros(17), root=1), ValueError, "17 elements, which are not 2 equal blocks"),
        (lambda c: c.Gather(X, np.zeros(18), root=1), ValueError, "do not fit: 18 elements, and 2 ranks x 8"),
        (lambda c: c.Allgatherv(X, [np.zeros(9), [8, 1]]), ValueError, "has 1 elements for this rank, which sends 8"),
        (lambda c: c.Allgatherv(X, [np.zeros(9), [8, 8]]), ValueError, "has 9 elements, and 16 are named"),
        (lambda c: c.Allgatherv(X, [np.zeros(9), (1, 2, 3)]), ValueError, r"where \(counts, displacements\) is meant"),
        (lambda c: c.Scatterv([X, [8]], X, root=1), ValueError, "1 counts and 1 displacements for 2 ranks"),
        (lambda c: c.Reduce_scatter(X, np.zeros(8), [4, 5]), ValueError, "must be 2 numbers that add up to 8"),
        (lambda c: c.Reduce_scatter(X, np.zeros(3), [4, 4]), ValueError, "3 elements, its part of the result has 4"),
        (lambda c: c.Reduce_scatter(MPI.IN_PLACE, X), TypeError, "recvcounts must be given with IN_PLACE"),
        (lambda c: c.scatter([1], root=1), ValueError, "sendobj must have 2 objects, one for each rank, it has 1"),
        (lambda c: c.scatter(None, root=1), TypeError, "sendobj=None must be a sequence"),
        (lambda c: c.alltoall(5), TypeError, "sendobj=5 must be a sequence"),
    ],
)
def test_rule_49_wrong_arguments(call, error, text):
    with pytest.raises(error, match=f"rank 1: .*{text}"):
        run(lambda comm: call(comm) if comm.rank == 1 else None)


def test_rule_49_arrays_of_any_contiguous_layout():
    def program(comm):
        x = np.asfortranarray(np.arange(6.0).reshape(2, 3) * (comm.rank == 0))
        comm.Bcast(x)
        scalar = np.array(float(comm.rank))
        comm.Allreduce(MPI.IN_PLACE, scalar)
        empty = np.zeros((0, 3))
        comm.Allreduce(MPI.IN_PLACE, empty)
        comm.Allgather(empty, np.zeros(0))
        comm.Alltoall(empty, np.zeros(0))
        return x.tolist(), float(scalar)

    assert run(program, 3).results == [([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], 3.0)] * 3
