"""A stand-in for CuPy with arrays that NumPy does not know: enough to test what is decided by where an array lies.

Its arrays refuse NumPy's as operands, as CuPy's do, and record whether their stream was waited for.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array "on the GPU": numbers in `held`, to be reached by get() and set() only."""

    __module__ = "cupy"

    def __init__(self, held: np.ndarray) -> None:
        self.held = held
        self.dtype, self.shape, self.size, self.ndim, self.nbytes = (
            held.dtype, held.shape, held.size, held.ndim, held.nbytes,
        )  # fmt: skip
        self.flags = SimpleNamespace(c_contiguous=held.flags.c_contiguous)

    def get(self, out: np.ndarray | None = None) -> np.ndarray:
        if out is None:
            return self.held.copy()
        out[...] = self.held.reshape(out.shape)
        return out

    def set(self, values: np.ndarray) -> None:
        self.held[...] = values.reshape(self.shape)

    def astype(self, dtype: Any) -> ndarray:
        return ndarray(self.held.astype(dtype))

    def sum(self, **named: Any) -> ndarray:
        return ndarray(np.asarray(self.held.sum(**named)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        if any(isinstance(one, np.ndarray) for one in inputs):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        found = getattr(ufunc, method)(*(one.held if isinstance(one, ndarray) else one for one in inputs), **named)
        return ndarray(np.asarray(found))


def stand_in(count: int = 1, runtime_version: int = 13000, driver_version: int = 13000, error: str = "") -> ModuleType:
    """A module for sys.modules["cupy"], of a machine with `count` GPUs, or whose driver says `error`."""

    class CUDARuntimeError(RuntimeError):
        pass

    def devices() -> int:
        if error:
            raise CUDARuntimeError(error)
        return count

    cupy = ModuleType("cupy")
    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError, getDeviceCount=devices,
        runtimeGetVersion=lambda: runtime_version, driverGetVersion=lambda: driver_version,
        getDeviceProperties=lambda index: {"name": b"NVIDIA H100"}, memGetInfo=lambda: (40 * 2**30, 80 * 2**30),
    )  # fmt: skip
    waited: list[str] = []
    stream = SimpleNamespace(synchronize=lambda: waited.append("stream"))
    pinned: list[int] = []

    def alloc_pinned_memory(nbytes: int) -> bytearray:
        pinned.append(nbytes)
        return bytearray(nbytes + 512)  # CuPy rounds up

    cuda = SimpleNamespace(
        runtime=runtime, get_current_stream=lambda: stream, alloc_pinned_memory=alloc_pinned_memory
    )
    cupy.__dict__.update(
        __version__="14.0", ndarray=ndarray, asarray=lambda x: ndarray(np.array(x)), cuda=cuda,
        waited=waited, pinned=pinned,
    )  # fmt: skip
    return cupy
