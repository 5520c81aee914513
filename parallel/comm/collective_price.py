"""What the MPI library's own collectives cost in simulation: one closed form each.

An MPI library picks its algorithm by the size of the message. Here every collective is priced as the better of the
textbook's algorithm for short and for long messages. Where that algorithm is one of `parallel.collectives`, its closed
form of cost.py is asked. `p` is the number of ranks, `nbytes` a size in bytes that each function names, `alpha` the
latency of a link in s, `beta` its time per byte in s/byte.

Source: Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", 2005.
"""

from collections.abc import Callable

from parallel.collectives import cost
from parallel.collectives.cost import rounds

# (p, nbytes, alpha, beta) -> s
Price = Callable[[int, int, float, float], float]


def free(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """Nothing."""
    return 0.0


def barrier(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """A dissemination barrier: ceil(log2 p) alpha.

    Source: Hensgen, Finkel and Manber, "Two algorithms for barrier synchronization", 1988.
    """
    return rounds(p) * alpha


def broadcast(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """The array has `nbytes`. A binomial tree, or a scatter and then an all-gather around a ring."""
    pieces = (rounds(p) + p - 1) * alpha + 2 * (p - 1) / p * nbytes * beta
    return min(cost.broadcast_time(p, nbytes, alpha, beta), pieces)


def reduce(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """The array has `nbytes`. A binomial tree, or a reduce-scatter by halving and then a gather."""
    halving = 2 * rounds(p) * alpha + 2 * (p - 1) / p * nbytes * beta
    return min(cost.reduce_time(p, nbytes, alpha, beta), halving)


def all_reduce(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """The array has `nbytes`. Recursive doubling, or a ring.

    >>> all_reduce(4, 80, alpha=1.0, beta=1.0), all_reduce(4, 0, alpha=1.0, beta=1.0)
    (126.0, 2.0)
    """
    doubling = cost.recursive_doubling_all_reduce_time(p, nbytes, alpha, beta)
    return min(doubling, cost.ring_all_reduce_time(p, nbytes, alpha, beta))


def reduce_scatter(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """The whole array has `nbytes`. p - 1 exchanges of one block, as many and as large as those of a ring."""
    return cost.ring_reduce_scatter_time(p, nbytes, alpha, beta)


def all_gather(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """The gathered array has `nbytes`. Bruck's doubling."""
    return cost.bruck_all_gather_time(p, nbytes / p, alpha, beta)


def gather(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """The gathered array has `nbytes`. A binomial tree: ceil(log2 p) alpha + (p-1)/p nbytes beta; scatter the same."""
    return rounds(p) * alpha + (p - 1) / p * nbytes * beta


def all_to_all(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """A rank sends `nbytes` in all, its own block included. Bruck's doubling, or p - 1 pairwise exchanges."""
    doubling = rounds(p) * (alpha + nbytes / 2 * beta)
    return min(doubling, cost.pairwise_all_to_all_time(p, nbytes / p, alpha, beta))


def scan(p: int, nbytes: int, alpha: float, beta: float) -> float:
    """The array has `nbytes`. Recursive doubling."""
    return cost.scan_time(p, nbytes, alpha, beta)
