"""GPU arrays through MPI, decided in one place; the GPU is a stand-in, the decisions and the copies are real."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_in_cupy import ndarray, stand_in

from minigrad import nn
from parallel import ring_all_reduce, simulate
from parallel.comm import device_buffers
from parallel.comm.device_buffers import library_is_cuda_aware, mpi_buffer
from parallel.data_parallel import DataParallel
from parallel.sharded import Zero1, Zero3


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = stand_in()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


class RealComm:
    """A communicator of mpi4py, by its module's name."""

    __module__ = "mpi4py.MPI"


def test_numpy_arrays_are_handed_on_as_they_are() -> None:
    x = np.arange(6).reshape(2, 3).T
    with mpi_buffer(None, x) as buffer:
        assert buffer is x


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0,)])
def test_a_staged_array_goes_there_and_back(shape: tuple[int, ...], cupy: ModuleType) -> None:
    numbers = np.random.default_rng(0).normal(size=shape)
    x = ndarray(numbers.copy())
    with mpi_buffer(None, x) as buffer:
        assert cupy.waited == ["stream"]  # before anything is read
        assert isinstance(buffer, np.ndarray)
        np.testing.assert_array_equal(buffer, numbers)
        buffer += 1
    assert cupy.waited == ["stream", "stream"]  # the copy back is queued; then the memory is somebody else's
    np.testing.assert_array_equal(x.get(), numbers + 1)
    assert cupy.pinned == ([] if 0 in shape else [numbers.nbytes])


def test_what_is_only_read_is_not_copied_back(cupy: ModuleType) -> None:
    x = ndarray(np.zeros(3))
    with mpi_buffer(None, x, writes=False) as buffer:
        buffer += 1
    np.testing.assert_array_equal(x.get(), 0)


@pytest.mark.parametrize(
    ("comm", "aware", "direct", "itself"),
    [(RealComm(), True, True, True), (RealComm(), True, False, False), (RealComm(), False, True, False),
     (object(), True, True, False)],
)  # fmt: skip
def test_the_gpus_memory_is_given_only_where_the_library_takes_it(
    comm: Any, aware: bool, direct: bool, itself: bool, cupy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_buffers, "library_is_cuda_aware", lambda: aware)
    x = ndarray(np.zeros(3))
    with mpi_buffer(comm, x, direct=direct) as buffer:
        assert (buffer is x) == itself
        assert cupy.waited == ["stream"]


def test_strided_gpu_arrays_are_refused(cupy: ModuleType) -> None:
    x = ndarray(np.zeros((4, 4))[:, ::2])
    with pytest.raises(ValueError, match=r"shape \(4, 2\) must be C-contiguous"), mpi_buffer(None, x):
        pass


def test_a_collective_adds_gpu_arrays_up(cupy: ModuleType) -> None:
    """Row `exact`: whole numbers."""

    def program(comm: Any) -> Any:
        x = ndarray(np.full(5, float(comm.Get_rank())))
        with mpi_buffer(comm, x, direct=True) as buffer:
            ring_all_reduce(comm, buffer)
        return x.get()

    for total in simulate(program, ranks=4).results:
        np.testing.assert_array_equal(total, 6.0)


@pytest.mark.parametrize("strategy", [DataParallel, Zero1, Zero3])
def test_a_model_on_a_gpu_is_refused_by_name(strategy: Any, cupy: ModuleType) -> None:
    def program(comm: Any) -> None:
        strategy(nn.Linear(3, 2, rng=np.random.default_rng(0)).to("cuda"), comm)

    with pytest.raises(ValueError, match="model has weight on cuda, must be on cpu to be trained by several ranks"):
        simulate(program, ranks=2)


@pytest.mark.parametrize(("says", "aware"), [(1, True), (0, False), (None, False)])
def test_the_library_is_asked(
    says: int | None, aware: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # tests/mpi asks the real one
    class Query:
        restype: Any = None

        def __call__(self) -> int | None:
            return says

    def load(library: str | None) -> Any:
        if library is None:
            raise OSError("cannot open")
        return SimpleNamespace(MPIX_Query_cuda_support=Query()) if says is not None else SimpleNamespace()

    monkeypatch.setattr(device_buffers, "loaded_libraries", lambda: iter([None, "/lib/libmpi.so.40"]))
    monkeypatch.setattr(ctypes, "CDLL", load)
    library_is_cuda_aware.cache_clear()
    assert library_is_cuda_aware() is aware
    library_is_cuda_aware.cache_clear()
