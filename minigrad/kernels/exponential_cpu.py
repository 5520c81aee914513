"""exp on NumPy arrays, by way of exp2 where that is the faster of the two."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from minigrad.device import Array

LOG2_E = math.log2(math.e)


def exponential(x: Array, out: Array) -> Array:
    """Write exp(x) of a block into out, and return it.

    On processors with AVX-512 NumPy computes a float32 exp2 twice as fast as an exp, which leaves time to spare for
    the product in exp(x) = 2^(x log2 e). Its rounding costs as much as that of x - peak in a softmax: |x| 6e-8.
    """
    if x.dtype == np.float32 and exp2_is_vectorised():
        return np.exp2(np.multiply(x, LOG2_E, out=out), out=out)
    return np.exp(x, out=out)


@cache
def exp2_is_vectorised() -> bool:
    """Whether NumPy runs a float32 exp2 in the wide registers of this processor, and not a number at a time."""
    try:
        from numpy.lib.introspect import opt_func_info
    except ImportError:  # NumPy 2.0 does not tell
        return False
    current = opt_func_info(func_name="^exp2$").get("exp2", {}).get("ff", {}).get("current", "baseline")
    return not current.startswith("baseline")
