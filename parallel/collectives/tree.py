"""The binomial tree: how one rank reaches all others in ceil(log2 p) steps.

    step 0   0 -> 1
    step 1   0 -> 2   1 -> 3
    step 2   0 -> 4   1 -> 5   2 -> 6   3 -> 7

Everyone who has the data passes it on, so the number of those who have it doubles with every step.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

TAG = 1


def broadcast(comm: Any, array: NDArray[Any], root: int = 0) -> None:
    """Give every rank a copy of the root's array, in place.

    Args:
        comm: a communicator, of mpi4py or simulated.
        array: contiguous, of one shape and dtype on all ranks; read on the root, written elsewhere.
        root: the rank that has the data.

    Raises:
        ValueError: the array is not contiguous, or there is no rank `root`.

    Cost: ceil(log2 p) (alpha + n beta) for n bytes on p ranks; p - 1 messages in all.

    Source: Thakur, Rabenseifner and Gropp, Optimization of Collective Communication Operations in MPICH, 2005,
        section 4.
    """
    rank, size = comm.Get_rank(), comm.Get_size()
    if not 0 <= root < size:
        raise ValueError(f"root={root} must lie in [0, {size})")
    if not array.flags.c_contiguous:
        raise ValueError(f"broadcast needs a contiguous array, got strides {array.strides} for shape {array.shape}")
    position = (rank - root) % size  # the tree is drawn with the root at 0
    reach = 1
    while reach < size:
        if position < reach and position + reach < size:
            comm.Send(array, dest=(rank + reach) % size, tag=TAG)
        elif reach <= position < 2 * reach:
            comm.Recv(array, source=(rank - reach) % size, tag=TAG)
        reach *= 2
