"""Where an array lives, and which library computes on it.

The whole engine asks two questions of an array: *which device is it on* and *which module has its
functions*. They are answered here and nowhere else, so that no other file but the GPU kernels needs to
know that CuPy exists. CuPy is imported only when somebody asks for a GPU.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DEVICES = ("cpu", "cuda")
INSTALL = "pip install 'cupy-cuda13x[ctk]'"


def is_array(value: object) -> bool:
    """Whether `value` is an array of a library that the engine computes with (NumPy or CuPy)."""
    return isinstance(value, np.ndarray) or type(value).__module__.partition(".")[0] == "cupy"


def shares_memory(view: Array, array: Array) -> bool:
    """Whether `view`, which an operation made of `array`, lies in the same memory.

    NumPy writes down who owns the memory of an array that is not its own. To compare these is much faster than
    to compare addresses, which is left for arrays that say neither yes nor no.

    >>> x = np.zeros((2, 3))
    >>> shares_memory(x.T, x), shares_memory(x.T.reshape(6), x)
    (True, False)
    """
    owner = view.base
    if owner is array or view is array:
        return True
    return owner is not None and (owner is array.base or bool(np.may_share_memory(view, array)))


def device_of(array: Array) -> str:
    """The device that holds `array`: "cpu" or "cuda".

    >>> device_of(np.zeros(3))
    'cpu'
    """
    return "cpu" if isinstance(array, np.ndarray) else "cuda"


def array_module(device: str) -> ModuleType:
    """The module whose functions make arrays on `device`: numpy for "cpu", cupy for "cuda".

    Raises:
        ValueError: another device than "cpu" or "cuda".
        RuntimeError: "cuda" without CuPy, with the command that installs it.
    """
    if device == "cpu":
        return np
    if device != "cuda":
        raise ValueError(f"device={device!r} is not known; use 'cpu' or 'cuda'")
    return import_cupy()


def moved(array: Array, device: str) -> Array:
    """The same numbers on `device`; the array itself if it is there already.

    Raises:
        ValueError: another device than "cpu" or "cuda".
        RuntimeError: "cuda" where there is no GPU that CuPy can use.

    >>> moved(np.arange(3), "cpu")
    array([0, 1, 2])
    """
    if device_of(array) == device:
        return array
    if device not in DEVICES:
        raise ValueError(f"device={device!r} is not known; use 'cpu' or 'cuda'")
    return array.get() if device == "cpu" else gpu_module().asarray(array)  # type: ignore[attr-defined]


def import_cupy() -> Any:
    """The cupy module.

    Raises:
        RuntimeError: it is not installed, or cannot be imported, with the remedy.
    """
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name not in ("cupy", None):
            raise RuntimeError(f"CuPy is installed, but not what it needs ({error}): {INSTALL}") from error
        raise RuntimeError(f"device='cuda' and the kernels on the GPU need CuPy: {INSTALL}") from error
    except ImportError as error:
        reason = " ".join(str(error).split())[:200]
        raise RuntimeError(f"CuPy is installed and cannot be imported ({reason}): reinstall it, {INSTALL}") from error
    return cupy


def gpu_module() -> Any:
    """The cupy module, if there is a GPU that it can use.

    Raises:
        RuntimeError: no CuPy, no driver, a driver that is older than CuPy's CUDA, or no GPU; with the remedy.
    """
    cupy = import_cupy()
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except RuntimeError as error:  # CuPy's CUDARuntimeError is one
        raise RuntimeError(f"CuPy cannot use a GPU here ({error}); {driver_remedy(runtime)}") from error
    if count == 0:
        raise RuntimeError(f"CuPy finds no GPU here; {driver_remedy(runtime)}")
    return cupy


def driver_remedy(runtime: Any) -> str:
    """What to do about a GPU that cannot be used, by the CUDA versions of CuPy and of the driver."""
    try:
        wheel, driver = runtime.runtimeGetVersion() // 1000, runtime.driverGetVersion() // 1000
    except (AttributeError, RuntimeError):
        wheel, driver = 13, 0
    if 0 < driver < wheel:
        return (
            f"this CuPy is built for CUDA {wheel} and the driver is for CUDA {driver}: "
            f"pip uninstall cupy-cuda{wheel}x, then pip install 'cupy-cuda{driver}x[ctk]', or update the driver"
        )
    return "install NVIDIA's driver for CUDA 13 (580 or newer; nvidia-smi shows it), or use device='cpu'"
