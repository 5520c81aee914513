"""What a tensor does with its axes: folds them away, moves them, cuts along them.

Names and meanings are PyTorch's. Where a reduction takes `dim` and `keepdim`, NumPy's `axis` and `keepdims` are
accepted too, which is what lets one derivative rule serve arrays and tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad.autograd import Function
from minigrad.device import Array
from minigrad.operators import Operators, as_float, same_dtype
from minigrad.ops.elementwise import array_of
from minigrad.ops.reduction import Amax, CumSum, LogSumExp, Mean, Norm, Sum
from minigrad.ops.shape import Expand, Gather, Index, Pad, Permute, Reshape, normalize_axes

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Dim = int | tuple[int, ...] | None


class ValuesAndIndices(NamedTuple):
    """What a maximum or minimum along an axis returns."""

    values: Tensor
    indices: Tensor


class Axes(Operators):
    """The methods of a Tensor that know it has axes."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.permute(*reversed(range(self.ndim)))

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        return self.data.size

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("a tensor with no axes cannot be iterated over")
        return (self[i] for i in range(self.shape[0]))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor with no axes")
        return self.shape[0]

    # ----------------------------------------------------------------------------------------------- reductions

    def sum(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Tensor:
        """Sum over `dim`, or over everything."""
        axes = normalize_axes(axis if dim is None else dim, self.ndim)
        return Sum.apply(self, axes=axes, keepdims=keepdim or keepdims)

    def mean(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        """Mean over `dim`, or over everything."""
        axes = normalize_axes(dim, self.ndim)
        return Mean.apply(as_float(self), axes=axes, keepdims=keepdim)

    def var(self, dim: Dim = None, correction: int = 1, keepdim: bool = False) -> Tensor:
        """Variance; unbiased (`correction=1`) like PyTorch's, where NumPy's default is 0."""
        axes = normalize_axes(dim, self.ndim)
        centred = self - self.mean(axes, keepdim=True)
        degrees = float(np.prod([self.shape[axis] for axis in axes])) - correction
        return (centred * centred).sum(axes, keepdim) / degrees

    def std(self, dim: Dim = None, correction: int = 1, keepdim: bool = False) -> Tensor:
        """Standard deviation; unbiased variance by default."""
        return self.var(dim, correction, keepdim).sqrt()

    def amax(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        """Largest element; equal ones share the gradient."""
        return Amax.apply(self, axes=normalize_axes(dim, self.ndim), keepdims=keepdim)

    def amin(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        """Smallest element; equal ones share the gradient."""
        return -(-self).amax(dim, keepdim)

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Largest of all elements; along an axis (values, indices), and the gradient goes to that one element."""
        return self.amax() if dim is None else self._chosen(self.data.argmax(axis=dim), dim, keepdim)

    def min(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Smallest of all elements; along an axis (values, indices)."""
        return self.amin() if dim is None else self._chosen(self.data.argmin(axis=dim), dim, keepdim)

    def _chosen(self, indices: Array, dim: int, keepdim: bool) -> ValuesAndIndices:
        values = self.gather(dim, np.expand_dims(indices, dim))
        if keepdim:
            return ValuesAndIndices(values, Function.tensor_type.wrap(np.expand_dims(indices, dim)))
        return ValuesAndIndices(values.squeeze(dim), Function.tensor_type.wrap(indices))

    def logsumexp(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        """log sum exp, without overflow."""
        return LogSumExp.apply(as_float(self), axes=normalize_axes(dim, self.ndim), keepdims=keepdim)

    def norm(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        """Euclidean norm; gradient 0 where it is 0."""
        return Norm.apply(as_float(self), axes=normalize_axes(dim, self.ndim), keepdims=keepdim)

    def cumsum(self, dim: int) -> Tensor:
        """Running sum along an axis."""
        (axis,) = normalize_axes(dim, self.ndim)
        return CumSum.apply(self, axis=axis)

    def argmax(self, dim: int | None = None) -> Tensor:
        """Index of the largest element, over all or along one axis."""
        return Function.tensor_type.wrap(self.data.argmax(axis=dim))

    # --------------------------------------------------------------------------------------------------- shape

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements under another shape; one length may be -1."""
        return Reshape.apply(self, shape=_flat_arguments(shape))

    view = reshape

    def permute(self, *dims: Any) -> Tensor:
        """The axes in the order given."""
        axes = _flat_arguments(dims)
        if sorted(axis % max(self.ndim, 1) for axis in axes) != list(range(self.ndim)):
            raise ValueError(f"permute{axes} does not name each of the {self.ndim} axes once")
        return Permute.apply(self, axes=tuple(axis % self.ndim for axis in axes))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Exchange two axes (PyTorch's transpose; NumPy's is `permute` here)."""
        (first,), (second,) = normalize_axes(dim0, self.ndim), normalize_axes(dim1, self.ndim)
        order = list(range(self.ndim))
        order[first], order[second] = order[second], order[first]
        return self.permute(*order)

    swapaxes = transpose

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Join the axes from start_dim to end_dim into one."""
        if self.ndim == 0:
            return self.reshape(1)
        start, end = start_dim % self.ndim, end_dim % self.ndim
        joined = math.prod(self.shape[start : end + 1])  # not -1, which an empty batch leaves open
        return self.reshape(*self.shape[:start], joined, *self.shape[end + 1 :])

    def squeeze(self, dim: int | None = None) -> Tensor:
        """Drop the axes of length 1, or one of them."""
        drop = {i for i in normalize_axes(dim, self.ndim) if self.shape[i] == 1}
        return self.reshape(*(n for i, n in enumerate(self.shape) if i not in drop))

    def unsqueeze(self, dim: int) -> Tensor:
        """Insert an axis of length 1."""
        (position,) = normalize_axes(dim, self.ndim + 1)
        return self.reshape(*self.shape[:position], 1, *self.shape[position:])

    def expand(self, *shape: Any) -> Tensor:
        """Repeat axes of length 1 without copying; -1 keeps a length."""
        wanted = _flat_arguments(shape)
        own = (1,) * (len(wanted) - self.ndim) + self.shape
        target = tuple(n if w == -1 else w for w, n in zip(wanted, own, strict=True))
        return Expand.apply(self, shape=target)

    def gather(self, dim: int, index: Any) -> Tensor:
        """out[i][j] = self[index[i][j]][j] along axis 0, and likewise along others; index as PyTorch has it."""
        return Gather.apply(self, index=np.array(array_of(index)), axis=normalize_axes(dim, self.ndim)[0])

    def split(self, size: int | list[int], dim: int = 0) -> tuple[Tensor, ...]:
        """Pieces of one length (the last may be shorter), or of the lengths given.

        Raises:
            ValueError: lengths that do not add up to the axis.
        """
        (axis,) = normalize_axes(dim, self.ndim)
        length = self.shape[axis]
        if isinstance(size, int) and size < 1:
            raise ValueError(f"split size {size} must be at least 1")
        sizes = [min(size, length - s) for s in range(0, length, size)] if isinstance(size, int) else list(size)
        if sum(sizes) != length:
            raise ValueError(f"split sizes {sizes} do not add up to {length}, the length of axis {dim}")
        starts = np.cumsum([0, *sizes[:-1]])
        front = (slice(None),) * axis
        return tuple(self[(*front, slice(int(a), int(a) + n))] for a, n in zip(starts, sizes, strict=True))

    def flip(self, *dims: Any) -> Tensor:
        """The axes named run backwards."""
        axes = normalize_axes(_flat_arguments(dims), self.ndim)
        return self[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(self.ndim))]

    def pad(self, widths: Any, value: float = 0.0) -> Tensor:
        """`value` around the array: (before, after) for each axis, as NumPy counts them (first axis first)."""
        pairs = tuple((int(before), int(after)) for before, after in widths)
        if len(pairs) != self.ndim:
            raise ValueError(f"pad needs (before, after) for each of the {self.ndim} axes, got {len(pairs)} pairs")
        return Pad.apply(self, widths=pairs, value=value)

    def outer(self, other: Any) -> Tensor:
        """All products of two vectors: (n,) and (m,) to (n, m)."""
        a, b = same_dtype(self, other)
        if a.ndim != 1 or b.ndim != 1:
            raise ValueError(f"outer needs two vectors, got {a.shape} and {b.shape}")
        return a.unsqueeze(1) * b.unsqueeze(0)

    def __getitem__(self, index: Any) -> Tensor:
        return Index.apply(self, index=plain_index(index))


def plain_index(index: Any) -> Any:
    """An index without tensors; arrays are copied, since the backward needs them as they are now."""
    if isinstance(index, tuple):
        return tuple(plain_index(part) for part in index)
    if isinstance(index, list | np.ndarray | Function.tensor_type):
        return np.array(array_of(index))
    return index


def _flat_arguments(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept f(2, 3) and f((2, 3))."""
    if len(arguments) == 1 and isinstance(arguments[0], tuple | list):
        return tuple(arguments[0])
    return tuple(arguments)
