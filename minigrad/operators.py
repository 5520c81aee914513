"""The operators of a tensor, and its functions of one element: `a + b`, `a @ b`, `a < b`, `a.exp()`.

Each hands its operands, made tensors of one dtype, to an operation of `ops/`, where the mathematics is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import DTypeLike

from minigrad.autograd import Function
from minigrad.device import DEVICES, Array, device_of, moved
from minigrad.ops import elementwise as ew
from minigrad.ops.linear import MatMul
from minigrad.ops.shape import Cast

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class Operators:
    """Half of a Tensor's methods; it has the others from `Axes`, and of itself."""

    __slots__ = ()

    data: Array

    # ---------------------------------------------------------------------------------------------- arithmetic

    def __add__(self, other: Any) -> Tensor:
        return ew.Add.apply(*same_dtype(self, other))

    def __radd__(self, other: Any) -> Tensor:
        return self + other

    def __sub__(self, other: Any) -> Tensor:
        return ew.Sub.apply(*same_dtype(self, other))

    def __rsub__(self, other: Any) -> Tensor:
        return ew.Sub.apply(*reversed(same_dtype(self, other)))

    def __mul__(self, other: Any) -> Tensor:
        return ew.Mul.apply(*same_dtype(self, other))

    def __rmul__(self, other: Any) -> Tensor:
        return self * other

    def __truediv__(self, other: Any) -> Tensor:
        return ew.Div.apply(*same_dtype(as_float(self), other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return ew.Div.apply(*reversed(same_dtype(as_float(self), other)))

    def __neg__(self) -> Tensor:
        return ew.Neg.apply(self)

    def __pow__(self, exponent: Any) -> Tensor:
        if isinstance(exponent, int | float | np.integer | np.floating):
            return ew.Pow.apply(self, exponent=exponent.item() if isinstance(exponent, np.generic) else exponent)
        return ew.Power.apply(*same_dtype(as_float(self), exponent))

    def __rpow__(self, base: float) -> Tensor:
        return (self * float(np.log(base))).exp()

    def __matmul__(self, other: Any) -> Tensor:
        return self.matmul(other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _constant(other, self.dtype).matmul(self)

    def matmul(self, other: Any) -> Tensor:
        """Matrix product over the last two axes; a vector is a row on the left and a column on the right."""
        a, b = same_dtype(self, other)
        if a.data.ndim >= 2 <= b.data.ndim:
            return MatMul.apply(a, b)
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
        return Function.tensor_type.wrap(self.data == ew.array_of(other))

    def __ne__(self, other: object) -> Any:
        return Function.tensor_type.wrap(self.data != ew.array_of(other))

    def __lt__(self, other: Any) -> Tensor:
        return Function.tensor_type.wrap(self.data < ew.array_of(other))

    def __le__(self, other: Any) -> Tensor:
        return Function.tensor_type.wrap(self.data <= ew.array_of(other))

    def __gt__(self, other: Any) -> Tensor:
        return Function.tensor_type.wrap(self.data > ew.array_of(other))

    def __ge__(self, other: Any) -> Tensor:
        return Function.tensor_type.wrap(self.data >= ew.array_of(other))

    __hash__ = object.__hash__  # by identity, which __eq__ would otherwise take away

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
        return ew.Maximum.apply(*same_dtype(self, other))

    def minimum(self, other: Any) -> Tensor:
        """The smaller of two, element by element."""
        return -ew.Maximum.apply(*same_dtype(-self, -same_dtype(self, other)[1]))

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Kept within [min, max]."""
        return ew.Clip.apply(self, low=min, high=max)

    clamp = clip

    # ---------------------------------------------------------------------------------------------------- dtype

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the elements."""
        return self.data.dtype

    def to(self, dtype: DTypeLike) -> Tensor:
        """The same numbers in another dtype, or on another device.

        Args:
            dtype: a dtype; or "cpu" or "cuda".
        """
        if isinstance(dtype, str) and dtype in DEVICES:
            return cast("Tensor", self) if dtype == device_of(self.data) else self._moved(dtype)
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return cast("Tensor", self)
        if wanted.kind != "f":
            return Function.tensor_type.wrap(self.data.astype(wanted))
        return Cast.apply(self, dtype=wanted)

    def _moved(self, device: str) -> Tensor:
        if self.dtype.kind != "f":
            return Function.tensor_type.wrap(moved(self.data, device))
        return Cast.apply(self, dtype=self.dtype, device=device)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(np.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(np.float64)


def as_float(x: Any) -> Tensor:
    """x itself if its dtype is floating, else x as float32."""
    return x if not isinstance(x, Function.tensor_type) or x.data.dtype.kind == "f" else x.to(np.float32)


def same_dtype(a: Any, other: Any) -> tuple[Tensor, Tensor]:
    """Two tensors of one dtype: a Python number takes the tensor's, the narrower of two is cast up."""
    if isinstance(other, Function.tensor_type):
        b = other
    else:
        b = _constant(other, a.data.dtype)
        if type(a.data) is not np.ndarray:  # CuPy takes no NumPy array as an operand, not even one of a single number
            b = b.to(a.device)
    own, given = a.data.dtype, b.data.dtype
    if own is given or own == given:  # NumPy has one object for float32: `is` answers almost always
        return a, b
    common = _common_dtype(own, given)
    return a.to(common), b.to(common)


def _constant(value: Any, dtype: np.dtype[Any]) -> Tensor:
    if isinstance(value, int) or (isinstance(value, float) and dtype.kind == "f"):
        return Function.tensor_type.wrap(np.array(value, dtype=dtype))
    return Function.tensor_type(value)


def _common_dtype(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The wider float; a float beside an integer wins as it is (NumPy alone would make int64 + float32 float64)."""
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)
