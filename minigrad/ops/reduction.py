"""Operations that fold axes away. The backward of a sum is a broadcast, as that of a broadcast is a sum."""

from __future__ import annotations

from typing import Any

from minigrad.autograd import Function
from minigrad.device import Array
from minigrad.ops.elementwise import array_of
from minigrad.ops.shape import Expand, count


class Sum(Function):
    """Sum over axes."""

    def forward(self, x: Array, *, axes: tuple[int, ...], keepdims: bool = False) -> Array:
        self.shape, self.axes = x.shape, axes
        return x.sum(axis=axes, keepdims=keepdims)

    def backward(self, grad: Any) -> tuple[Any]:
        return (Expand.run(grad.reshape(kept_dims(self.shape, self.axes)), shape=self.shape),)


class Mean(Function):
    """Mean over axes."""

    def forward(self, x: Array, *, axes: tuple[int, ...], keepdims: bool = False) -> Array:
        self.shape, self.axes = x.shape, axes
        return x.mean(axis=axes, keepdims=keepdims)

    def backward(self, grad: Any) -> tuple[Any]:
        share = grad.reshape(kept_dims(self.shape, self.axes)) * (1.0 / count(self.shape, self.axes))
        return (Expand.run(share, shape=self.shape),)


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


def kept_dims(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with the reduced axes left in as 1."""
    return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
