"""Bad arguments, refused at the edge: each with its name, its value and the rule."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def as_delays(tau: ArrayLike) -> Array:
    """Return `tau` as an int64 array, or refuse it."""
    delays = np.asarray(tau)
    if delays.dtype.kind not in "iu" or (delays < 0).any():
        raise ValueError(f"tau={tau!r} must be a whole number of at least 0")
    return delays.astype(np.int64)


def as_finite(name: str, value: ArrayLike) -> Array:
    """Return `value` as a float64 array, or refuse it by the name of its argument."""
    numbers = np.asarray(value, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}={value!r} must be finite")
    return numbers


def at_least(name: str, value: int, least: int) -> int:
    """Return `value` as an int, or refuse it by the name of its argument."""
    if not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
    return int(value)
