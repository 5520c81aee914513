"""GPU arrays through real MPI: a stand-in for the GPU's array, the library's own word on CUDA."""

import sys

import numpy as np
from mpi4py import MPI
from stand_in_cupy import ndarray, stand_in

from parallel.comm.device_buffers import library_is_cuda_aware, loaded_libraries, mpi_buffer


def test_the_library_of_this_process_is_found_and_asked():
    assert len(list(loaded_libraries())) > 1 or sys.platform != "linux"
    assert library_is_cuda_aware() in (False, True)


def test_staged_arrays_are_added_up(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", stand_in())
    x = ndarray(np.full(4, float(MPI.COMM_WORLD.Get_rank())))
    with mpi_buffer(MPI.COMM_WORLD, x) as buffer:
        MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, buffer)
    ranks = MPI.COMM_WORLD.Get_size()
    np.testing.assert_array_equal(x.get(), ranks * (ranks - 1) / 2)
