"""Arrays on a GPU through MPI: the one place that decides whether MPI takes them as they are.

An MPI library that was built for CUDA reads and writes the GPU's memory itself. It does not know CuPy's streams: what
is still queued must be waited for before. Any other library needs a copy in the host's memory, and the transfer is
twice as fast if that is *pinned*, so that the system cannot move it. NumPy arrays pass through untouched.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def mpi_buffer(comm: Any, array: Any, *, direct: bool = False, writes: bool = True) -> Iterator[Any]:
    """What to hand to MPI in the place of `array`, for the block.

    Args:
        comm: any communicator.
        array: a NumPy array, or one of CuPy's, C-contiguous.
        direct: the block does nothing with the buffer but pass it to MPI's own calls. Then the GPU's memory itself is
            given, if the library takes it. A hand-written collective also adds, and gets a copy on the host.
        writes: MPI writes to it, and what it wrote is copied back after the block.

    Yields:
        `array` itself, or a NumPy array of its shape in pinned host memory.

    Raises:
        ValueError: a GPU array that is not C-contiguous: MPI sees memory, not strides.

    Cost: where it is staged, a copy to the host and one back.

    >>> with mpi_buffer(None, np.arange(3)) as buffer:
    ...     print(buffer)
    [0 1 2]
    """
    if isinstance(array, np.ndarray) or not is_on_gpu(array):
        yield array
        return
    if not array.flags.c_contiguous:
        raise ValueError(f"array of shape {array.shape} must be C-contiguous to go through MPI: cupy.ascontiguousarray")
    wait_for_stream()  # the kernels that fill it may be queued still
    if direct and takes_gpu_memory(comm):
        yield array
        return
    host = pinned(array.shape, array.dtype)
    array.get(out=host)
    yield host
    if writes:
        array.set(host)
        wait_for_stream()  # the copy is queued, and the host's memory is given out again


def is_on_gpu(array: Any) -> bool:
    """Whether this is an array of CuPy's."""
    return type(array).__module__.partition(".")[0] == "cupy"


def wait_for_stream() -> None:
    """Wait until all that is queued on CuPy's current stream is done."""
    sys.modules["cupy"].cuda.get_current_stream().synchronize()


def takes_gpu_memory(comm: Any) -> bool:
    """Whether the library behind a communicator reads and writes a GPU's memory; a simulated one does not."""
    return type(comm).__module__.partition(".")[0] == "mpi4py" and library_is_cuda_aware()


@lru_cache(maxsize=1)
def library_is_cuda_aware() -> bool:
    """Whether the MPI library says that it was built for CUDA.

    It is asked through MPIX_Query_cuda_support, which Open MPI has, and MPICH and MVAPICH under the same name. A
    library without that function, or that cannot be found, is taken for one without CUDA: that is always right, only
    slower.
    """
    for library in loaded_libraries():
        try:
            query = ctypes.CDLL(library).MPIX_Query_cuda_support
        except (OSError, AttributeError):
            continue
        query.restype = ctypes.c_int
        return bool(query())
    return False


def loaded_libraries() -> Iterator[str | None]:
    """Where the MPI library of this process may be: in the process itself (None), or in a file that it has mapped.

    Nothing is loaded that is not loaded already: an MPI library that comes in ties a process to itself.
    """
    yield None
    maps = Path("/proc/self/maps")  # on Linux
    if maps.exists():
        yield from sorted(set(re.findall(r"/\S*/libmpi[\w.-]*\.so[\w.]*", maps.read_text())))


def pinned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """A NumPy array in memory that the system does not move; CuPy keeps such memory and gives it out again."""
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:
        return np.empty(shape, dtype)
    memory = sys.modules["cupy"].cuda.alloc_pinned_memory(count * np.dtype(dtype).itemsize)
    return np.frombuffer(memory, dtype, count).reshape(shape)
