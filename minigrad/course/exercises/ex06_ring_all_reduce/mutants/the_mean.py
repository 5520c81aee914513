"""the mean over the ranks: the sum is asked for, who wants the mean divides afterwards"""

from typing import Any

from parallel.collectives.ring import ring_all_gather, ring_reduce_scatter


def ring_all_reduce(comm: Any, x: Any) -> None:
    ring_reduce_scatter(comm, x)
    ring_all_gather(comm, x)
    x /= comm.Get_size()
