"""The world that mpirun makes: its size is what was asked for, and messages arrive."""

from __future__ import annotations

import os

import numpy as np
from mpi4py import MPI


def test_the_world_has_the_size_that_mpirun_was_asked_for(comm: MPI.Intracomm) -> None:
    assert comm.Get_size() == int(os.environ.get("OMPI_COMM_WORLD_SIZE", comm.Get_size()))
    assert comm.allgather(comm.Get_rank()) == list(range(comm.Get_size()))


def test_a_message_goes_once_around(comm: MPI.Intracomm) -> None:
    rank, size = comm.Get_rank(), comm.Get_size()
    token = np.full(3, rank, np.float64)
    received = np.empty(3)
    comm.Sendrecv(token, dest=(rank + 1) % size, recvbuf=received, source=(rank - 1) % size)
    assert np.all(received == (rank - 1) % size)


def test_blas_threads_are_pinned() -> None:
    from threadpoolctl import threadpool_info

    assert {library["num_threads"] for library in threadpool_info()} == {1}
