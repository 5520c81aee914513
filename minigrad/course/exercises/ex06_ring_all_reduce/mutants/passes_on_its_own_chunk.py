"""each step sends this rank's own part of the chunk, not the sum that has just been made"""

from typing import Any

import numpy as np

from parallel.collectives.ring import chunk


def ring_reduce_scatter(comm: Any, x: Any) -> Any:
    flat = x.reshape(-1)
    p, rank, n = comm.Get_size(), comm.Get_rank(), flat.size
    mine, scratch = flat.copy(), np.empty(-(-n // p), flat.dtype)
    own = flat[chunk(n, p, rank)]
    for step in range(p - 1):
        own = flat[chunk(n, p, rank - 2 - step)]
        arrived = scratch[: own.size]
        passed = mine[chunk(n, p, rank - 1 - step)]
        comm.Sendrecv(passed, (rank + 1) % p, 0, arrived, (rank - 1) % p, 0)
        own += arrived
    return own
