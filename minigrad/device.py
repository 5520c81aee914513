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
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError("device='cuda' needs CuPy: pip install 'cupy-cuda13x[ctk]'") from error
    return cupy
