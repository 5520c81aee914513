"""Tensor: an array that remembers how it was made.

The operators record the graph that `autograd.py` walks; the mathematics is in `ops/`. Names and meanings are
PyTorch's. Where a reduction takes `dim` and `keepdim`, NumPy's `axis` and `keepdims` are accepted too, which
is what lets one derivative rule serve arrays and tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minigrad import autograd
from minigrad.autograd import Function
from minigrad.device import DEVICES, Array, device_of, is_array, moved
from minigrad.ops import elementwise as ew
from minigrad.ops.linear import Einsum, MatMul
from minigrad.ops.reduction import Amax, CumSum, LogSumExp, Mean, Norm, Sum
from minigrad.ops.shape import Cast, Concatenate, Expand, Gather, Index, Pad, Permute, Reshape, normalize_axes

Dim = int | tuple[int, ...] | None

class Tensor:
    """An n-dimensional array with a gradient.

    Args:
        data: numbers, nested lists of numbers, or an array. Python floats become float32, Python ints int64.
            An array keeps its dtype and is used without a copy, as `torch.from_numpy` does: what is written to it,
            or to `.data`, later is written behind the graph's back. Writes through the tensor are noticed.
        requires_grad: collect a gradient in `.grad` on `backward()`. Floating dtypes only.
        dtype: NumPy dtype to convert to.

    Raises:
        TypeError: data that is not numeric, or a gradient asked of an integer dtype.

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> w.grad
    Tensor([2., 4.])
    """

    __slots__ = (
        "__weakref__", "_hooks", "data", "grad", "grad_fn", "grad_memory", "ready_hooks", "requires_grad", "version",
    )  # fmt: skip

    # NumPy must leave `array * tensor` to Tensor.__rmul__ instead of multiplying element by element.
    __array_ufunc__ = None

    data: Array
    grad: Tensor | None
    grad_fn: Function | None
    requires_grad: bool
    _hooks: list[Callable[[Tensor], Tensor | None]] | None
    ready_hooks: list[Callable[[Tensor], None]] | None
    grad_memory: Array | None  # of this shape: where a leaf's next `.grad` is made, if somebody wants it there
    version: list[int]  # one number, shared by all views of the same memory: how often it was written

    def __init__(self, data: Any, requires_grad: bool = False, dtype: DTypeLike | None = None) -> None:
        self.data = _numeric_array(data, dtype)
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(f"requires_grad=True needs a floating dtype, data has {self.data.dtype}")
        self.requires_grad = requires_grad
        self.grad = None
        self.grad_fn = None
        shares_memory = isinstance(data, Tensor) and data.data is self.data
        self.version = data.version if shares_memory else [0]
        self._hooks = None
        self.ready_hooks = None
        self.grad_memory = None

    @classmethod
    def wrap(cls, data: Any) -> Tensor:
        """A tensor around an array the engine itself made: no checks, no graph."""
        tensor = Tensor.__new__(Tensor)
        tensor.data = data if is_array(data) else np.asarray(data)
        tensor.requires_grad = False
        tensor.grad = None
        tensor.grad_fn = None
        tensor.version = [0]
        tensor._hooks = None
        tensor.ready_hooks = None
        tensor.grad_memory = None
        return tensor

    # ------------------------------------------------------------------------------------------- attributes

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def device(self) -> str:
        """ "cpu" or "cuda"."""
        return device_of(self.data)

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.permute(*reversed(range(self.ndim)))

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user and not by an operation."""
        return self.grad_fn is None

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

    def __repr__(self) -> str:
        numbers = np.array2string(np.asarray(self.data), separator=", ", prefix="Tensor(", precision=4)
        dtype = "" if self.dtype in (np.float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        if self.grad_fn is not None:
            return f"Tensor({numbers}{dtype}, grad_fn={type(self.grad_fn).__name__})"
        return f"Tensor({numbers}{dtype}{', requires_grad=True' if self.requires_grad else ''})"

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.numel() == 1 else format(str(self), spec)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item(), digits)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """What np.asarray(tensor) gives: the numbers, refused like `numpy()` while there is a graph."""
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    __hash__ = object.__hash__

    # ------------------------------------------------------------------------------------------------ leaving

    def item(self) -> Any:
        """The one element as a Python number."""
        return self.data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.data.tolist()

    def numpy(self) -> Array:
        """The array itself, sharing memory. Refused while it carries a graph: detach() first."""
        if self.requires_grad:
            raise RuntimeError("numpy() on a tensor that requires a gradient; use x.detach().numpy()")
        return np.asarray(self.data)

    def detach(self) -> Tensor:
        """The same memory without the graph."""
        tensor = Tensor.wrap(self.data)
        tensor.version = self.version
        return tensor

    def clone(self) -> Tensor:
        """A copy that still belongs to the graph."""
        return self * 1 if self.requires_grad else Tensor.wrap(self.data.copy())

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch the collecting of a gradient on or off, in place, for a leaf."""
        if not self.is_leaf:
            raise RuntimeError("requires_grad can be changed on leaf tensors only; use detach() first")
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"requires_grad=True needs a floating dtype, data has {self.dtype}")
        self.requires_grad = requires_grad
        return self

    # ---------------------------------------------------------------------------------------------- gradients

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Add the gradient of this tensor to the `.grad` of every leaf; see `minigrad.autograd.backward`."""
        autograd.backward(self, gradient, retain_graph, create_graph)

    def accumulate_grad(self, gradient: Any) -> None:
        """Add `gradient` (array, or tensor in a recorded walk) to `.grad`: called by the walk on leaves.

        The first gradient is copied, because a rule may have handed one array to several parents; it goes to
        `grad_memory` if there is one.
        """
        if gradient.shape != self.shape:
            raise ValueError(
                f"a gradient of shape {gradient.shape} arrived at a leaf of shape {self.shape}: the backward of an "
                "operation that uses it returns the wrong shape"
            )
        if isinstance(gradient, Tensor):
            self.grad = gradient.clone() if self.grad is None else self.grad + gradient
        elif self.grad is None and self.grad_memory is not None:
            self.grad_memory[...] = gradient
            self.grad = Tensor.wrap(self.grad_memory)
        elif self.grad is None:
            self.grad = Tensor.wrap(np.array(gradient, dtype=self.dtype))
        elif self.grad.grad_fn is not None:  # a recorded gradient belongs to a graph: leave it whole
            self.grad = Tensor.wrap(self.grad.data + gradient)
        else:
            self.grad.data += gradient
            self.grad.version[0] += 1
        for hook in self.ready_hooks or ():
            hook(self)

    @property
    def hooks(self) -> list[Callable[[Tensor], Tensor | None]] | None:
        """What `register_hook` was given; they live on the node that made this tensor, or on the leaf itself."""
        return self._hooks if self.grad_fn is None else self.grad_fn.hooks

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Call `hook(gradient)` when the gradient of this tensor is complete, in every walk.

        Args:
            hook: gets dL/d(this tensor); a tensor it returns takes the gradient's place, None leaves it.

        Returns:
            A function that removes the hook again.

        Raises:
            RuntimeError: the tensor requires no gradient.
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook on a tensor that requires no gradient: it would never be called")
        hooks = [] if self.hooks is None else self.hooks
        if self.grad_fn is None:
            self._hooks = hooks
        else:
            self.grad_fn.hooks = hooks
        hooks.append(hook)
        return lambda: hooks.remove(hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Callable[[], None]:
        """Call `hook(self)` when `.grad` of this leaf is complete, while the walk goes on behind it.

        This is where a gradient can leave for other ranks before the backward of earlier layers is done.

        Returns:
            A function that removes the hook again.

        Raises:
            RuntimeError: not a leaf that requires a gradient.
        """
        if self.grad_fn is not None or not self.requires_grad:
            raise RuntimeError("a post-accumulate hook needs a leaf tensor that requires a gradient")
        hooks = self.ready_hooks = self.ready_hooks or []
        hooks.append(hook)
        return lambda: hooks.remove(hook)

    def zero_grad(self) -> None:
        """Forget the collected gradient."""
        self.grad = None

    # ------------------------------------------------------------------------------------------------- writing

    def __setitem__(self, index: Any, value: Any) -> None:
        self._refuse_write_into_graph()
        self.data[_plain_index(index)] = value.data if isinstance(value, Tensor) else value
        self.version[0] += 1

    def copy_(self, source: Any) -> Tensor:
        """Overwrite the elements in place with those of `source` (broadcast)."""
        self._refuse_write_into_graph()
        self.data[...] = source.data if isinstance(source, Tensor) else source
        self.version[0] += 1
        return self

    def _refuse_write_into_graph(self) -> None:
        if self.requires_grad and autograd.is_grad_enabled():
            kind = "a leaf that requires a gradient" if self.is_leaf else "the result of a recorded operation"
            raise RuntimeError(f"in-place write to {kind}; write under no_grad(), or to x.detach().clone()")

    # ---------------------------------------------------------------------------------------------- arithmetic

    def __add__(self, other: Any) -> Tensor:
        return ew.Add.apply(*_pair(self, other))

    def __radd__(self, other: Any) -> Tensor:
        return self + other

    def __sub__(self, other: Any) -> Tensor:
        return ew.Sub.apply(*_pair(self, other))

    def __rsub__(self, other: Any) -> Tensor:
        return ew.Sub.apply(*reversed(_pair(self, other)))

    def __mul__(self, other: Any) -> Tensor:
        return ew.Mul.apply(*_pair(self, other))

    def __rmul__(self, other: Any) -> Tensor:
        return self * other

    def __truediv__(self, other: Any) -> Tensor:
        return ew.Div.apply(*_pair(as_float(self), other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return ew.Div.apply(*reversed(_pair(as_float(self), other)))

    def __neg__(self) -> Tensor:
        return ew.Neg.apply(self)

    def __pow__(self, exponent: Any) -> Tensor:
        if isinstance(exponent, int | float | np.integer | np.floating):
            return ew.Pow.apply(self, exponent=exponent.item() if isinstance(exponent, np.generic) else exponent)
        return ew.Power.apply(*_pair(as_float(self), exponent))

    def __rpow__(self, base: float) -> Tensor:
        return (self * float(np.log(base))).exp()

    def __matmul__(self, other: Any) -> Tensor:
        return self.matmul(other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _constant(other, self.dtype).matmul(self)

    def matmul(self, other: Any) -> Tensor:
        """Matrix product over the last two axes; a vector is a row on the left and a column on the right."""
        a, b = _pair(self, other)
        if a.ndim == 0 or b.ndim == 0:
            raise ValueError(f"matmul needs at least one axis on both sides, got {a.shape} and {b.shape}")
        left = a.unsqueeze(0) if a.ndim == 1 else a
        right = b.unsqueeze(1) if b.ndim == 1 else b
        product: Tensor = MatMul.apply(left, right)
        if b.ndim == 1:
            product = product.squeeze(-1)
        return product.squeeze(-1 if b.ndim == 1 else -2) if a.ndim == 1 else product

    # --------------------------------------------------------------------------------- comparison (no gradient)

    def __eq__(self, other: object) -> Any:
        return Tensor.wrap(self.data == _raw(other))

    def __ne__(self, other: object) -> Any:
        return Tensor.wrap(self.data != _raw(other))

    def __lt__(self, other: Any) -> Tensor:
        return Tensor.wrap(self.data < _raw(other))

    def __le__(self, other: Any) -> Tensor:
        return Tensor.wrap(self.data <= _raw(other))

    def __gt__(self, other: Any) -> Tensor:
        return Tensor.wrap(self.data > _raw(other))

    def __ge__(self, other: Any) -> Tensor:
        return Tensor.wrap(self.data >= _raw(other))

    def argmax(self, dim: int | None = None) -> Tensor:
        """Index of the largest element, over all or along one axis."""
        return Tensor.wrap(self.data.argmax(axis=dim))

    # ----------------------------------------------------------------------------------------- one element each

    def exp(self) -> Tensor:
        """e ** x."""
        return ew.Exp.apply(as_float(self))

    def log(self) -> Tensor:
        """Natural logarithm."""
        return ew.Log.apply(as_float(self))

    def sqrt(self) -> Tensor:
        """Square root."""
        return ew.Sqrt.apply(as_float(self))

    def tanh(self) -> Tensor:
        """Hyperbolic tangent."""
        return ew.Tanh.apply(as_float(self))

    def sigmoid(self) -> Tensor:
        """1 / (1 + e ** -x)."""
        return ew.Sigmoid.apply(as_float(self))

    def relu(self) -> Tensor:
        """max(x, 0)."""
        return ew.Relu.apply(self)

    def abs(self) -> Tensor:
        """Absolute value."""
        return ew.Abs.apply(self)

    def erf(self) -> Tensor:
        """Error function."""
        return ew.Erf.apply(as_float(self))

    def maximum(self, other: Any) -> Tensor:
        """The larger of two, element by element."""
        return ew.Maximum.apply(*_pair(self, other))

    def minimum(self, other: Any) -> Tensor:
        """The smaller of two, element by element."""
        return -ew.Maximum.apply(*_pair(-self, -_pair(self, other)[1]))

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Kept within [min, max]."""
        return ew.Clip.apply(self, low=min, high=max)

    clamp = clip

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
            return ValuesAndIndices(values, Tensor.wrap(np.expand_dims(indices, dim)))
        return ValuesAndIndices(values.squeeze(dim), Tensor.wrap(indices))

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
        return Gather.apply(self, index=np.array(_raw(index)), axis=normalize_axes(dim, self.ndim)[0])

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
        a, b = _pair(self, other)
        if a.ndim != 1 or b.ndim != 1:
            raise ValueError(f"outer needs two vectors, got {a.shape} and {b.shape}")
        return a.unsqueeze(1) * b.unsqueeze(0)

    def __getitem__(self, index: Any) -> Tensor:
        return Index.apply(self, index=_plain_index(index))

    # ---------------------------------------------------------------------------------------------------- dtype

    def to(self, dtype: DTypeLike) -> Tensor:
        """The same numbers in another dtype, or on another device.

        Args:
            dtype: a dtype; or "cpu" or "cuda".
        """
        if isinstance(dtype, str) and dtype in DEVICES:
            return self if dtype == self.device else self._moved(dtype)
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return self
        if wanted.kind != "f":
            return Tensor.wrap(self.data.astype(wanted))
        return Cast.apply(self, dtype=wanted)

    def _moved(self, device: str) -> Tensor:
        if self.dtype.kind != "f":
            return Tensor.wrap(moved(self.data, device))
        return Cast.apply(self, dtype=self.dtype, device=device)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(np.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(np.float64)


Function.tensor_type = Tensor


class ValuesAndIndices(NamedTuple):
    """What a maximum or minimum along an axis returns."""

    values: Tensor
    indices: Tensor


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, b elsewhere; one of a and b must be a tensor."""
    if isinstance(a, Tensor):
        left, right = _pair(a, b)
    elif isinstance(b, Tensor):
        right, left = _pair(b, a)
    else:
        raise TypeError("where needs a tensor as one of its two choices; for arrays there is np.where")
    return ew.Where.apply(left, right, condition=np.array(_raw(condition), dtype=bool))


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Einstein summation with the output written out, such as "bij,bjk->bik".

    Raises:
        ValueError: no "->", a letter twice in one operand, an ellipsis, or operands that do not fit.
    """
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow or "." in equation:
        raise ValueError(f"einsum {equation!r} must name every axis and the output, as in 'ij,jk->ik'")
    for term in [*terms, output]:
        if len(set(term)) != len(term):
            raise ValueError(f"einsum {equation!r} has a letter twice in {term!r}, which is not supported")
    if len(terms) != len(operands):
        raise ValueError(f"einsum {equation!r} has {len(terms)} terms for {len(operands)} operands")
    lengths: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        if len(term) != operand.ndim:
            raise ValueError(f"einsum {equation!r} names {len(term)} axes in {term!r}, the operand has {operand.shape}")
        for letter, n in zip(term, operand.shape, strict=True):
            if lengths.setdefault(letter, n) != n:
                raise ValueError(f"einsum {equation!r}: axis {letter!r} is both {lengths[letter]} and {n} long")
    return Einsum.apply(*operands, equation=equation)


def cat(tensors: list[Tensor] | tuple[Tensor, ...], dim: int = 0) -> Tensor:
    """Join tensors along an axis they have."""
    if not tensors:
        raise ValueError("cat needs at least one tensor, got none")
    return Concatenate.apply(*tensors, axis=dim)


def stack(tensors: list[Tensor] | tuple[Tensor, ...], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    return cat([tensor.unsqueeze(dim) for tensor in tensors], dim)


def _numeric_array(data: Any, dtype: DTypeLike | None) -> Array:
    if isinstance(data, Tensor):
        data = data.data
    if is_array(data) or isinstance(data, np.generic):
        array = data if is_array(data) else np.asarray(data)
    else:
        try:
            array = np.asarray([x.tolist() if isinstance(x, Tensor) else x for x in data]) if isinstance(
                data, list | tuple
            ) else np.asarray(data)
        except ValueError as error:  # nested lists of unequal length
            raise TypeError(f"Tensor data must be numbers in a regular nesting: {error}") from None
        if array.dtype == np.float64 and dtype is None:
            array = array.astype(np.float32)  # Python floats carry no precision of their own
    if array.dtype.kind not in "fiub" or (dtype is not None and np.dtype(dtype).kind not in "fiub"):
        shown = repr(data) if len(repr(data)) < 40 else type(data).__name__
        raise TypeError(f"Tensor data must be numeric, got {shown} (dtype {array.dtype})")
    return array if dtype is None else array.astype(np.dtype(dtype), copy=False)


def _pair(a: Tensor, other: Any) -> tuple[Tensor, Tensor]:
    """Two tensors of one dtype: a Python number takes the tensor's, the narrower of two is cast up."""
    b = other if isinstance(other, Tensor) else _constant(other, a.data.dtype)
    if b is not other and a.device != "cpu":
        b = b.to(a.device)  # CuPy takes no NumPy array as an operand, not even one of a single number
    if a.data.dtype == b.data.dtype:
        return a, b
    common = _common_dtype(a.data.dtype, b.data.dtype)
    return a.to(common), b.to(common)


def _constant(value: Any, dtype: np.dtype[Any]) -> Tensor:
    if isinstance(value, int) or (isinstance(value, float) and dtype.kind == "f"):
        return Tensor.wrap(np.array(value, dtype=dtype))
    return Tensor(value)


def _common_dtype(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The wider float; a float beside an integer wins as it is (NumPy alone would make int64 + float32 float64)."""
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)


def as_float(x: Tensor) -> Tensor:
    """x itself if its dtype is floating, else x as float32."""
    return x if not isinstance(x, Tensor) or x.dtype.kind == "f" else x.to(np.float32)


def _raw(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


def _plain_index(index: Any) -> Any:
    """An index without tensors; arrays are copied, since the backward needs them as they are now."""
    if isinstance(index, tuple):
        return tuple(_plain_index(part) for part in index)
    if isinstance(index, list | Tensor | np.ndarray):
        return np.array(_raw(index))
    return index


def _flat_arguments(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept f(2, 3) and f((2, 3))."""
    if len(arguments) == 1 and isinstance(arguments[0], tuple | list):
        return tuple(arguments[0])
    return tuple(arguments)
