"""Kernels: the array functions worth writing by hand, once for each kind of device.

`cpu.py` and `gpu.py` export the same names with the same signatures. They know arrays and nothing else: no
tensor, no graph, no derivative rule. Whoever needs one asks for the module that fits the array in hand:

>>> import numpy as np
>>> x = np.zeros(3)
>>> kernels_for(x).gelu_forward(x)
array([0., 0., 0.])
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from minigrad.kernels import cpu


def kernels_for(array: Any) -> ModuleType:
    """The kernel module for the device that holds `array` (NumPy's or CuPy's)."""
    if isinstance(array, np.ndarray):
        return cpu
    from minigrad.kernels import gpu

    return gpu
