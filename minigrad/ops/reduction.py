"""Operations that fold axes away. The backward of a sum is a broadcast, as that of a broadcast is a sum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.autograd import Function
from minigrad.device import Array
from minigrad.ops.elementwise import Exp, array_of
from minigrad.ops.shape import Expand, count


class Sum(Function):
    """Sum over axes."""

    def forward(self, x: Array, *, axes: tuple[int, ...], keepdims: bool = False) -> Array:
        self.shape, self.axes = x.shape, axes
        return total(x, axes, keepdims)

    def backward(self, grad: Any) -> tuple[Any]:
        return (spread(grad, self.shape, self.axes),)


class Mean(Function):
    """Mean over axes."""

    def forward(self, x: Array, *, axes: tuple[int, ...], keepdims: bool = False) -> Array:
        self.shape, self.axes = x.shape, axes
        self.count = x.size if len(axes) == x.ndim else count(x.shape, axes)
        if x.dtype == np.float16 or self.count == 0:  # NumPy adds float16 up in float32, and warns of empty means
            return x.mean(axis=axes, keepdims=keepdims)
        return total(x, axes, keepdims) / self.count  # x.mean is Python, and costs three times as much

    def backward(self, grad: Any) -> tuple[Any]:
        return (spread(grad * (1.0 / max(1, self.count)), self.shape, self.axes),)


class Amax(Function):
    """Largest entry over axes; equal largest entries share the gradient evenly."""

    keeps_inputs = True
    keeps_output = True

    def forward(self, x: Array, *, axes: tuple[int, ...], keepdims: bool = False) -> Array:
        self.axes = axes
        return x.max(axis=axes, keepdims=keepdims)

    def backward(self, grad: Any, x: Any, out: Any) -> tuple[Any]:
        shape = kept_dims(x.shape, self.axes)
        winners = (array_of(x) == array_of(out).reshape(shape)).astype(x.dtype)
        winners /= winners.sum(axis=self.axes, keepdims=True)
        return (grad.reshape(shape) * winners,)


class LogSumExp(Function):
    """log of the sum of exponentials; the largest entry is taken out first so that exp cannot overflow."""

    keeps_inputs = True
    keeps_output = True

    def forward(self, x: Array, *, axes: tuple[int, ...], keepdims: bool = False) -> Array:
        self.axes = axes
        peak = x.max(axis=axes, keepdims=True)
        out = np.log(np.exp(x - peak).sum(axis=axes, keepdims=True)) + peak
        return out if keepdims else out.reshape([n for i, n in enumerate(x.shape) if i not in axes])

    def backward(self, grad: Any, x: Any, out: Any) -> tuple[Any]:
        shape = kept_dims(x.shape, self.axes)
        return (grad.reshape(shape) * Exp.run(x - out.reshape(shape)),)


class Norm(Function):
    """Euclidean norm; its gradient, the unit vector, is taken as 0 at the origin."""

    keeps_inputs = True
    keeps_output = True

    def forward(self, x: Array, *, axes: tuple[int, ...], keepdims: bool = False) -> Array:
        self.axes = axes
        return np.sqrt((x * x).sum(axis=axes, keepdims=keepdims))

    def backward(self, grad: Any, x: Any, out: Any) -> tuple[Any]:
        shape = kept_dims(x.shape, self.axes)
        length = out.reshape(shape)
        return (grad.reshape(shape) * x / (length + (array_of(length) == 0)),)


class CumSum(Function):
    """Running sum along an axis; the backward runs from the other end."""

    def forward(self, x: Array, *, axis: int) -> Array:
        self.axis = axis % x.ndim
        return x.cumsum(axis=axis)

    def backward(self, grad: Any) -> tuple[Any]:
        back = (slice(None),) * self.axis + (slice(None, None, -1),)
        return (CumSum.run(grad[back], axis=self.axis)[back],)


def total(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """Sum over axes. Over all of them NumPy is faster when it is not told which."""
    return x.sum(axis=None if len(axes) == x.ndim else axes, keepdims=keepdims)


SMALL = 1 << 12  # elements; writing so few takes less time than np.broadcast_to, which is Python


def spread(sums: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Each sum at all the places that were added up to it: the backward of a sum.

    Args:
        sums: array or tensor, of `shape` without `axes` or with 1 in their place.
        shape: of what was added up.
        axes: over which it was.
    """
    kept = sums if sums.ndim == 0 else sums.reshape(kept_dims(shape, axes))
    if math.prod(shape) > SMALL or not isinstance(kept, np.ndarray | np.generic):
        return Expand.run(kept, shape=shape)
    out = np.empty(shape, kept.dtype)
    out[...] = kept
    return out


def kept_dims(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with the reduced axes left in as 1."""
    return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
