"""MPI's own collectives on any communicator: each case runs simulated and under mpirun, on any number of ranks.

A case is `case(comm, dtype)`; it fails if a result is not the naive one, and returns its results so that the two worlds
can be compared. Contributions are small whole numbers: whatever the order of addition, the sum is the same.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parallel.comm import MPI

DTYPES = ("b", "B", "h", "i", "l", "Q", "e", "f", "d", "F", "D")
N = 3  # elements in a block


def contribution(rank: int, n: int, dtype: str) -> NDArray[Any]:
    """What `rank` contributes: 1 to 3, so that a product of eight fits an int8 only where the test asks for it."""
    return np.random.default_rng([rank, n]).integers(1, 4, n).astype(dtype)


def everybodys(comm: Any, n: int, dtype: str) -> list[NDArray[Any]]:
    """All ranks' contributions."""
    return [contribution(rank, n, dtype) for rank in range(comm.Get_size())]


def same(actual: Any, expected: Any) -> Any:
    """`actual`, if it equals `expected` in value and dtype."""
    np.testing.assert_array_equal(actual, expected, strict=True)
    return actual


def total(parts: Any, function: Any) -> Any:
    """The naive reduction in the order of the ranks, without leaving the dtype."""
    result = parts[0].copy()
    for part in parts[1:]:
        result = function(result, part).astype(result.dtype)
    return result


def bcast(comm: Any, dtype: str) -> list[Any]:
    results = []
    for root in range(comm.Get_size()):
        x = contribution(comm.rank, N, dtype)
        comm.Bcast(x, root)
        y = contribution(comm.rank, N, dtype)
        comm.Ibcast(y, root=root).Wait()
        results += [same(z, contribution(root, N, dtype)) for z in (x, y)]
    return results


def reduce(comm: Any, dtype: str) -> list[Any]:
    results = []
    for root in range(comm.Get_size()):
        x = contribution(comm.rank, N, dtype)
        expected = total(everybodys(comm, N, dtype), np.add)
        y = np.zeros(N, dtype) if comm.rank == root else None
        comm.Reduce(x, y, op=MPI.SUM, root=root)
        if comm.rank == root:
            results.append(same(y, expected))
        z = x.copy()
        comm.Reduce(MPI.IN_PLACE if comm.rank == root else z, z if comm.rank == root else None, root=root)
        results.append(same(z, expected if comm.rank == root else x))
        comm.Ireduce(x, y, MPI.PROD, root).Wait()
        if comm.rank == root:
            results.append(same(y, total(everybodys(comm, N, dtype), np.multiply)))
    return results


def all_reduce(comm: Any, dtype: str) -> list[Any]:
    operations = [(MPI.SUM, np.add), (MPI.PROD, np.multiply)]
    if np.dtype(dtype).kind != "c":
        operations += [(MPI.MAX, np.maximum), (MPI.MIN, np.minimum)]
    if np.dtype(dtype).kind in "iu":
        operations += [
            (MPI.LAND, np.logical_and), (MPI.LOR, np.logical_or), (MPI.LXOR, np.logical_xor),
            (MPI.BAND, np.bitwise_and), (MPI.BOR, np.bitwise_or), (MPI.BXOR, np.bitwise_xor),
        ]  # fmt: skip
    results = []
    for op, function in operations:
        x = contribution(comm.rank, N, dtype)
        expected = total(everybodys(comm, N, dtype), function)
        y = np.zeros(N, dtype)
        comm.Allreduce(x, y, op)
        in_place = x.copy()
        comm.Allreduce(MPI.IN_PLACE, in_place, op=op)
        later = np.zeros(N, dtype)
        comm.Iallreduce(x, later, op).Wait()
        results += [same(z, expected) for z in (y, in_place, later)]
    return results


def reduce_scatter(comm: Any, dtype: str) -> list[Any]:
    p, rank = comm.Get_size(), comm.Get_rank()
    expected = total(everybodys(comm, p * N, dtype), np.add)
    x, y, z = contribution(rank, p * N, dtype), np.zeros(N, dtype), np.zeros(N, dtype)
    comm.Reduce_scatter_block(x, y)
    comm.Ireduce_scatter_block(x, z, MPI.SUM).Wait()
    own = expected[rank * N : (rank + 1) * N]
    counts = [r % 3 for r in range(p)]
    n = sum(counts)
    parts = np.zeros(counts[rank], dtype)
    comm.Reduce_scatter(contribution(rank, n, dtype), parts, counts)
    start = sum(counts[:rank])
    expected = total(everybodys(comm, n, dtype), np.add)[start : start + counts[rank]]
    return [same(y, own), same(z, own), same(parts, expected)]


def scan(comm: Any, dtype: str) -> list[Any]:
    rank = comm.Get_rank()
    x, y, z = contribution(rank, N, dtype), np.zeros(N, dtype), np.zeros(N, dtype)
    parts = everybodys(comm, N, dtype)
    comm.Scan(x, y)
    comm.Exscan(x, z, op=MPI.SUM)
    if rank > 0:
        same(z, total(parts[:rank], np.add))
    comm.Scan(MPI.IN_PLACE, x)
    expected = total(parts[: rank + 1], np.add)
    return [same(y, expected), same(x, expected), z]


def gather(comm: Any, dtype: str) -> list[Any]:
    p, rank = comm.Get_size(), comm.Get_rank()
    x = contribution(rank, N, dtype)
    expected = np.stack(everybodys(comm, N, dtype))
    results = []
    for root in range(p):
        y = np.zeros((p, N), dtype) if rank == root else None
        comm.Gather(x, y, root)
        if rank == root:
            results.append(same(y, expected))
            y[...] = 0
            y[root] = x
        comm.Gather(MPI.IN_PLACE if rank == root else x, y, root=root)
        if rank == root:
            results.append(same(y, expected))
    z = np.zeros((p, N), dtype)
    comm.Allgather([x, N, MPI.BYTE] if dtype == "B" else x, z)
    in_place = np.zeros((p, N), dtype)
    in_place[rank] = x
    comm.Allgather(MPI.IN_PLACE, in_place)
    later = np.zeros((p, N), dtype)
    comm.Iallgather(x, later).Wait()
    return results + [same(a, expected) for a in (z, in_place, later)]


def gather_blocks(comm: Any, dtype: str) -> list[Any]:
    """Blocks of 0, 1, 2, ... elements, with a hole of one element before each."""
    p, rank = comm.Get_size(), comm.Get_rank()
    counts = list(range(p))
    displs = [sum(counts[:r]) + r + 1 for r in range(p)]
    size = sum(counts) + p + 1
    datatype = MPI.BYTE if dtype == "B" else dtype
    expected = np.zeros(size, dtype)
    for r, displ in enumerate(displs):
        expected[displ : displ + r] = contribution(r, r, dtype)
    x, y, z = contribution(rank, rank, dtype), np.zeros(size, dtype), np.zeros(size, dtype)
    root = p - 1
    comm.Gatherv(x, [y, (counts, displs), datatype] if rank == root else None, root)
    comm.Allgatherv([x, rank], [z, counts, displs, datatype])
    packed = np.zeros(sum(counts), dtype)
    comm.Allgatherv(x, [packed, counts])
    back = np.zeros(rank, dtype)
    comm.Scatterv([y, (counts, displs), datatype] if rank == root else None, back, root=root)
    if rank == root:
        same(y, expected)
    packed_expected = np.concatenate([contribution(r, r, dtype) for r in range(p)])
    return [y, same(z, expected), same(packed, packed_expected), same(back, x)]


def scatter(comm: Any, dtype: str) -> list[Any]:
    p, rank = comm.Get_size(), comm.Get_rank()
    results = []
    for root in range(p):
        x = contribution(root, p * N, dtype)
        y = np.zeros(N, dtype)
        comm.Scatter([x, N, dtype] if rank == root else None, y, root)
        results.append(same(y, x[rank * N : (rank + 1) * N]))
        comm.Scatter(x if rank == root else None, MPI.IN_PLACE if rank == root else y, root=root)
    return results


def all_to_all(comm: Any, dtype: str) -> list[Any]:
    p, rank = comm.Get_size(), comm.Get_rank()
    x, y = contribution(rank, p * N, dtype), np.zeros(p * N, dtype)
    expected = np.concatenate([row[rank * N : (rank + 1) * N] for row in everybodys(comm, p * N, dtype)])
    comm.Alltoall(x, y)
    comm.Alltoall(MPI.IN_PLACE, x)
    sent = [(rank + r) % 3 for r in range(p)]  # to rank r; the same as comes from it
    blocks = contribution(rank, sum(sent), dtype)
    arrived = np.zeros(sum(sent), dtype)
    comm.Alltoallv([blocks, sent], [arrived, sent])
    parts = []
    for r in range(p):
        counts = [(r + s) % 3 for s in range(p)]
        start = sum(counts[:rank])
        parts.append(contribution(r, sum(counts), dtype)[start : start + counts[rank]])
    comm.Alltoallv(MPI.IN_PLACE, [blocks, sent])
    return [same(y, expected), same(x, expected), *(same(z, np.concatenate(parts)) for z in (arrived, blocks))]


CASES = (bcast, reduce, all_reduce, reduce_scatter, scan, gather, gather_blocks, scatter, all_to_all)


def logical(comm: Any) -> list[Any]:
    """Truth values, and the best of pairs."""
    p, rank = comm.Get_size(), comm.Get_rank()
    x, y = np.array([rank == 0, rank < p, False]), np.zeros(3, bool)
    results = []
    for op, expected in ((MPI.LAND, [p == 1, True, False]), (MPI.LOR, [True, True, False])):
        comm.Allreduce(x, y, op)
        results.append(same(y.copy(), np.array(expected)))
    pairs = np.zeros(3, np.dtype([("value", "d"), ("index", "i")], align=True))
    pairs["value"], pairs["index"] = [rank % 3, -rank, 7.0], rank
    best = pairs.copy()
    comm.Allreduce([pairs, MPI.DOUBLE_INT], [best, MPI.DOUBLE_INT], MPI.MAXLOC)
    top = min(p - 1, 2)
    results += [same(best["value"], np.array([top, 0, 7.0])), same(best["index"], np.array([top, 0, 0], "i"))]
    worst = np.zeros(2, "i")
    comm.Allreduce([np.array([-rank, rank], "i"), MPI.TWOINT], [worst, MPI.TWOINT], MPI.MINLOC)
    results.append(same(worst, np.array([1 - p, p - 1], "i")))
    return results


def objects(comm: Any) -> list[Any]:
    """The calls without capital letters."""
    p, rank = comm.Get_size(), comm.Get_rank()
    mine = {"rank": rank, "list": list(range(rank))}
    everything = [{"rank": r, "list": list(range(r))} for r in range(p)]
    comm.barrier()
    results = [
        comm.bcast(mine if rank == p - 1 else None, root=p - 1),
        comm.gather(mine, root=p - 1),
        comm.scatter(everything if rank == 0 else None),
        comm.allgather(mine),
        comm.alltoall([(rank, r) for r in range(p)]),
        comm.reduce([rank], op=MPI.SUM, root=0),
        comm.allreduce(rank + 1, MPI.PROD),
        comm.allreduce((rank % 2, rank), op=MPI.MAXLOC),
        comm.allreduce((rank % 2, rank), op=MPI.MINLOC),
        comm.allreduce(rank, op=max),
        comm.allreduce(rank > 0, op=MPI.LAND),
        comm.allreduce(1 << rank, op=MPI.BOR),
        comm.allreduce(str(rank), op=lambda a, b: f"{a} {b}"),
        comm.scan(str(rank)),
        comm.exscan(str(rank)),
    ]
    assert results[0] == everything[-1]
    assert results[1] == (everything if rank == p - 1 else None)
    assert results[2] == mine
    assert results[3] == everything
    assert results[4] == [(r, rank) for r in range(p)]
    assert results[5] == (list(range(p)) if rank == 0 else None)
    assert results[7] == (min(p - 1, 1), min(p - 1, 1))
    assert results[13:] == ["".join(map(str, range(rank + 1))), "".join(map(str, range(rank))) or None]
    return results


def exact(result: Any) -> Any:
    """A result in a form in which two can be compared to the bit."""
    if isinstance(result, np.ndarray):
        return str(result.dtype), result.shape, result.tobytes()
    if isinstance(result, dict):
        return {key: exact(part) for key, part in result.items()}
    return [exact(part) for part in result] if isinstance(result, list | tuple) else result
