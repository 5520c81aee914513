"""the whole array goes around the ring: right, but p / 2 times the bytes of chunks"""

from typing import Any

import numpy as np


def ring_all_reduce(comm: Any, x: Any) -> None:
    flat = x.reshape(-1)
    p, rank = comm.Get_size(), comm.Get_rank()
    passed, arrived = flat.copy(), np.empty_like(flat)
    for _ in range(p - 1):
        comm.Sendrecv(passed, (rank + 1) % p, 0, arrived, (rank - 1) % p, 0)
        flat += arrived
        passed[...] = arrived
