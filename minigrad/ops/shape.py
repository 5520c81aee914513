"""Operations that move elements and compute nothing: the backward moves the gradients the other way.

Most of them return views of their input's memory, so they cost nothing in either direction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.autograd import Function
from minigrad.device import Array, device_of, moved


class Reshape(Function):
    """The same elements under another shape."""

    is_view = True

    def forward(self, x: Array, *, shape: tuple[int, ...]) -> Array:
        self.shape = x.shape
        return x.reshape(shape)

    def backward(self, grad: Any) -> tuple[Any]:
        return (grad.reshape(self.shape),)


class Permute(Function):
    """The axes in another order; the backward applies the inverse permutation."""

    is_view = True

    def forward(self, x: Array, *, axes: tuple[int, ...]) -> Array:
        self.axes = axes
        return x.transpose(axes)

    def backward(self, grad: Any) -> tuple[Any]:
        inverse = tuple(sorted(range(len(self.axes)), key=self.axes.__getitem__))
        return (Permute.run(grad, axes=inverse),)


class Expand(Function):
    """Repeat axes of length 1 (and new leading ones) without copying; the backward sums over the repeats."""

    is_view = True

    def forward(self, x: Array, *, shape: tuple[int, ...]) -> Array:
        self.shape = x.shape
        return np.broadcast_to(x, shape)

    def backward(self, grad: Any) -> tuple[Any]:
        return (unbroadcast(grad, self.shape),)


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which its operand was broadcast.

    A value used n times gets the sum of n gradients; broadcasting is such a use, so its backward is a sum over
    the axes that were added in front or stretched from length 1.

    Args:
        grad: array or tensor, of the shape after broadcasting.
        shape: the operand's shape before.

    Returns:
        grad itself if the shapes agree, else an array or tensor of `shape`.

    >>> unbroadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    if grad.shape == shape:
        return grad
    if grad.ndim == 2 and grad.shape[1:] == shape:  # a bias on the rows of a matrix, the commonest case
        return grad.sum(axis=0)
    added = grad.ndim - len(shape)
    stretched = [i + added for i, n in enumerate(shape) if n == 1 and grad.shape[i + added] != 1]
    return grad.sum(axis=(*range(added), *stretched)).reshape(shape)


class Index(Function):
    """x[index] with anything NumPy accepts as an index; the backward adds into zeros at the same places."""

    is_view = True  # for slices; index arrays make a copy

    def forward(self, x: Array, *, index: Any) -> Array:
        self.shape, self.index = x.shape, index
        return x[index]

    def backward(self, grad: Any) -> tuple[Any]:
        return (AddAt.run(grad, index=self.index, shape=self.shape),)


class AddAt(Function):
    """Zeros of `shape` with x added at `index`: the transpose of `Index`, and `Index` is its."""

    def forward(self, x: Array, *, index: Any, shape: tuple[int, ...]) -> Array:
        self.index = index
        out = np.zeros_like(x, shape=shape)
        if _selects_each_place_once(index):
            out[index] = x
        else:
            np.add.at(out, index, x)  # an element read twice receives both gradients
        return out

    def backward(self, grad: Any) -> tuple[Any]:
        return (Index.run(grad, index=self.index),)


def _selects_each_place_once(index: Any) -> bool:
    """True for basic indices and boolean masks; integer arrays may name a place twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, int | slice | np.integer)
        or (isinstance(part, np.ndarray) and part.dtype == bool)
        for part in parts
    )


class Concatenate(Function):
    """Join along an axis; the backward cuts at the same places."""

    def forward(self, *xs: Array, axis: int) -> Array:
        self.axis = axis % xs[0].ndim
        self.lengths = [x.shape[self.axis] for x in xs]
        return np.concatenate(xs, axis=axis)

    def backward(self, grad: Any) -> tuple[Any, ...]:
        pieces, start = [], 0
        for length in self.lengths:
            index = (slice(None),) * self.axis + (slice(start, start + length),)
            pieces.append(grad[index])
            start += length
        return tuple(pieces)


class Pad(Function):
    """Put `value` around the array; the backward cuts it off."""

    def forward(self, x: Array, *, widths: tuple[tuple[int, int], ...], value: float = 0.0) -> Array:
        self.inside = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True))
        return np.pad(x, widths, constant_values=value)

    def backward(self, grad: Any) -> tuple[Any]:
        return (grad[self.inside],)


class Gather(Function):
    """x[..., index, ...] along one axis, element by element (PyTorch's gather)."""

    def forward(self, x: Array, *, index: Array, axis: int) -> Array:
        self.shape, self.index, self.axis = x.shape, index, axis
        return np.take_along_axis(x[_cut_to(x, index, axis)], index, axis)

    def backward(self, grad: Any) -> tuple[Any]:
        return (AddAlong.run(grad, index=self.index, axis=self.axis, shape=self.shape),)


class AddAlong(Function):
    """Zeros of `shape` with x added at `index` along one axis: the transpose of `Gather`."""

    def forward(self, x: Array, *, index: Array, axis: int, shape: tuple[int, ...]) -> Array:
        self.index, self.axis = index, axis
        out = np.zeros_like(x, shape=shape)
        places: list[Any] = list(np.indices(index.shape, sparse=True))
        places[axis] = index
        np.add.at(out, tuple(places), x)
        return out

    def backward(self, grad: Any) -> tuple[Any]:
        return (Gather.run(grad, index=self.index, axis=self.axis),)


def _cut_to(x: Array, index: Array, axis: int) -> tuple[slice, ...]:
    """The part of x that an index of smaller lengths reaches, along the other axes."""
    return tuple(slice(None) if i == axis % x.ndim else slice(n) for i, n in enumerate(index.shape))


class Cast(Function):
    """The same numbers in another floating-point type, or on another device; the gradient goes the way back."""

    def forward(self, x: Array, *, dtype: np.dtype[Any], device: str | None = None) -> Array:
        self.dtype, self.device = x.dtype, device_of(x)
        return moved(x, device or self.device).astype(dtype)

    def backward(self, grad: Any) -> tuple[Any]:
        return (Cast.run(grad, dtype=self.dtype, device=self.device),)


def normalize_axes(dim: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative numbers; None means all of them.

    Raises:
        IndexError: an axis outside [-ndim, ndim).
    """
    if dim is None:
        return tuple(range(ndim))
    axes = (int(dim),) if isinstance(dim, int | np.integer) else tuple(dim)
    for axis in axes:
        if not -ndim <= axis < ndim:
            raise IndexError(f"dim={axis} is out of range for a tensor of {ndim} dimensions")
    return tuple(sorted({axis % ndim for axis in axes}))


def count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """Number of elements that a reduction over `axes` folds into one."""
    return math.prod(shape[axis] for axis in axes)
