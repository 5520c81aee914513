"""The 2-norm of an array."""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array


def sum_of_squares(array: Array) -> float:
    """The squared 2-norm, 0 for an empty array.

    >>> sum_of_squares(np.array([[3.0], [4.0]]))
    25.0
    """
    if array.dtype.itemsize < 4:
        array = array.astype(np.float32)  # in float16 a sum above 65504 is infinite
    return float(np.vdot(array, array))


def two_norm(array: Array) -> float:
    """Root of the sum of squares."""
    return math.sqrt(sum_of_squares(array))


def root_mean_square(array: Array) -> float:
    """Root of the mean of squares, 0 for an empty array."""
    return math.sqrt(sum_of_squares(array) / max(1, array.size))
