"""What must hold for the ring on any communicator: the same cases run simulated and under mpirun."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parallel.collectives.ring import chunk, ring_all_gather, ring_all_reduce, ring_reduce_scatter

LENGTHS = (0, 1, 2, 3, 5, 8, 17, 64)
DTYPES = ("float64", "float32", "float16", "complex64", "int8", "int64", "uint16", "bool", ">f8", "timedelta64[s]")
SHAPES = ((), (1,), (2, 3), (3, 1, 5), (0, 4))


def values(rank: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """What `rank` contributes: small integers, so that every order of addition gives the same sum."""
    rng = np.random.default_rng([rank, *shape])
    return rng.integers(0, 4, shape).astype(dtype)


def expected(size: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """The sum of all contributions, by the naive loop."""
    total = values(0, shape, dtype).copy()
    for rank in range(1, size):
        total = np.add(total, values(rank, shape, dtype)).astype(dtype)
    return total


def check_all_reduce(comm: Any, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Reduce in place; the result is the sum, and still the same array."""
    x = values(comm.Get_rank(), shape, dtype)
    ring_all_reduce(comm, x)
    np.testing.assert_array_equal(x, expected(comm.Get_size(), shape, dtype))
    return x


def check_halves(comm: Any, n: int) -> None:
    """Reduce-scatter leaves each rank its chunk of the sum; all-gather completes it."""
    p, rank = comm.Get_size(), comm.Get_rank()
    x = values(rank, (n,), "float64")
    total = expected(p, (n,), "float64")
    own = ring_reduce_scatter(comm, x)
    np.testing.assert_array_equal(own, total[chunk(n, p, rank)])
    assert np.shares_memory(own, x) or own.size == 0
    for other in range(p):
        if other != rank:
            x[chunk(n, p, other)] = np.nan
    ring_all_gather(comm, x)
    np.testing.assert_array_equal(x, total)


def random_sum(comm: Any, n: int, dtype: str = "float32") -> NDArray[Any]:
    """A sum whose last bits depend on the order of addition; all ranks must get the same bits."""
    x = np.random.default_rng(comm.Get_rank()).standard_normal(n).astype(dtype)
    ring_all_reduce(comm, x)
    return x


def check_same_bits(comm: Any, n: int) -> NDArray[Any]:
    """Pass the result once around the ring and compare its bits with one's own."""
    x = random_sum(comm, n)
    p, rank = comm.Get_size(), comm.Get_rank()
    neighbours = np.empty_like(x)
    comm.Sendrecv(x, (rank + 1) % p, 5, neighbours, (rank - 1) % p, 5)
    np.testing.assert_array_equal(neighbours.view(np.int32), x.view(np.int32))
    return x
