"""rank 0 collects everything and sends it back: its link carries p - 1 whole arrays each way"""

from typing import Any

import numpy as np


def ring_all_reduce(comm: Any, x: Any) -> None:
    flat = x.reshape(-1)
    p, rank = comm.Get_size(), comm.Get_rank()
    if rank:
        comm.Send(flat, 0)
        comm.Recv(flat, 0)
        return
    arrived = np.empty_like(flat)
    for source in range(1, p):
        comm.Recv(arrived, source)
        flat += arrived
    for dest in range(1, p):
        comm.Send(flat, dest)
