"""Tensor: an array that remembers how it was made.

Here is what it holds and how gradients arrive. Its operators are in `operators.py`, what it does with its axes in
`axes.py`; they record the graph that `autograd.py` walks. The mathematics is in `ops/`. Names and meanings are
PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad import autograd
from minigrad.autograd import Function
from minigrad.axes import Axes, ValuesAndIndices, plain_index
from minigrad.device import Array, device_of, is_array
from minigrad.operators import as_float, same_dtype
from minigrad.ops import elementwise as ew
from minigrad.ops.linear import Einsum
from minigrad.ops.shape import Concatenate

__all__ = ["Tensor", "ValuesAndIndices", "as_float", "cat", "einsum", "stack", "where"]


class Tensor(Axes):
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
        tensor.data = data if type(data) is np.ndarray or is_array(data) else np.asarray(data)
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
    def device(self) -> str:
        """ "cpu" or "cuda"."""
        return device_of(self.data)

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user and not by an operation."""
        return self.grad_fn is None

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
        if gradient.shape != self.data.shape:
            raise ValueError(
                f"a gradient of shape {gradient.shape} arrived at a leaf of shape {self.shape}: the backward of an "
                "operation that uses it returns the wrong shape"
            )
        held = self.grad
        if isinstance(gradient, Tensor):
            self.grad = gradient.clone() if held is None else held + gradient
        elif held is None:
            if self.grad_memory is None:
                self.grad = Tensor.wrap(gradient.astype(self.data.dtype))
            else:
                self.grad_memory[...] = gradient
                self.grad = Tensor.wrap(self.grad_memory)
        elif held.grad_fn is not None:  # a recorded gradient belongs to a graph: leave it whole
            self.grad = Tensor.wrap(held.data + gradient)
        else:
            held.data += gradient
            held.version[0] += 1
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
        self.data[plain_index(index)] = value.data if isinstance(value, Tensor) else value
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


Function.tensor_type = Tensor


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, b elsewhere.

    Args:
        condition: booleans, an array or a tensor; broadcast.
        a, b: one of them a tensor; the other may be a number.

    Raises:
        TypeError: neither is a tensor.
    """
    if isinstance(a, Tensor):
        left, right = same_dtype(a, b)
    elif isinstance(b, Tensor):
        right, left = same_dtype(b, a)
    else:
        raise TypeError("where needs a tensor as one of its two choices; for arrays there is np.where")
    return ew.Where.apply(left, right, condition=np.array(ew.array_of(condition), dtype=bool))


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
    """Join tensors along an axis they have.

    Raises:
        ValueError: no tensors, or shapes that differ on another axis.
    """
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
