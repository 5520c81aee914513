"""Operations that treat each element alone, and broadcast when there are two operands.

The functions of NumPy used here (`np.exp`, ...) are universal functions: given a CuPy array they run on the
GPU, by NumPy's own dispatch protocol. So this file names no device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.autograd import Function
from minigrad.device import Array
from minigrad.ops.shape import unbroadcast


class Add(Function):
    """a + b."""

    def forward(self, a: Array, b: Array) -> Array:
        self.shapes = a.shape, b.shape
        return a + b

    def backward(self, grad: Any) -> tuple[Any, Any]:
        return (
            unbroadcast(grad, self.shapes[0]) if self.needs[0] else None,
            unbroadcast(grad, self.shapes[1]) if self.needs[1] else None,
        )


class Sub(Function):
    """a - b."""

    def forward(self, a: Array, b: Array) -> Array:
        self.shapes = a.shape, b.shape
        return a - b

    def backward(self, grad: Any) -> tuple[Any, Any]:
        return (
            unbroadcast(grad, self.shapes[0]) if self.needs[0] else None,
            unbroadcast(-grad, self.shapes[1]) if self.needs[1] else None,
        )


class Mul(Function):
    """a * b."""

    keeps_inputs = True

    def forward(self, a: Array, b: Array) -> Array:
        return a * b

    def backward(self, grad: Any, a: Any, b: Any) -> tuple[Any, Any]:
        return (
            unbroadcast(grad * b, a.shape) if self.needs[0] else None,
            unbroadcast(grad * a, b.shape) if self.needs[1] else None,
        )


class Div(Function):
    """a / b."""

    keeps_inputs = True

    def forward(self, a: Array, b: Array) -> Array:
        return a / b

    def backward(self, grad: Any, a: Any, b: Any) -> tuple[Any, Any]:
        da = grad / b
        return (
            unbroadcast(da, a.shape) if self.needs[0] else None,
            unbroadcast(-da * a / b, b.shape) if self.needs[1] else None,
        )


class Neg(Function):
    """-x."""

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, grad: Any) -> tuple[Any]:
        return (-grad,)


class Pow(Function):
    """x ** exponent for a number that is not differentiated."""

    keeps_inputs = True

    def forward(self, x: Array, *, exponent: float) -> Array:
        self.exponent = exponent
        return x**exponent

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        if self.exponent == 0:  # x ** -1 would divide by zero where x is 0
            return (grad * 0.0,)
        return (grad * (x ** (self.exponent - 1) * self.exponent),)


class Exp(Function):
    """e ** x, its own derivative."""

    keeps_output = True

    def forward(self, x: Array) -> Array:
        return np.exp(x)

    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        return (grad * out,)


class Log(Function):
    """Natural logarithm."""

    keeps_inputs = True

    def forward(self, x: Array) -> Array:
        return np.log(x)

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        return (grad / x,)


class Sqrt(Function):
    """Square root."""

    keeps_output = True

    def forward(self, x: Array) -> Array:
        return np.sqrt(x)

    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        return (grad * 0.5 / out,)


class Tanh(Function):
    """Hyperbolic tangent; its slope follows from its value."""

    keeps_output = True

    def forward(self, x: Array) -> Array:
        return np.tanh(x)

    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        return (grad * (1.0 - out * out),)


class Sigmoid(Function):
    """1 / (1 + e^-x), written through tanh, which cannot overflow."""

    keeps_output = True

    def forward(self, x: Array) -> Array:
        return 0.5 * np.tanh(0.5 * x) + 0.5

    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        return (grad * (out * (1.0 - out)),)


class Relu(Function):
    """max(x, 0); the slope at 0 is taken as 0."""

    keeps_output = True

    def forward(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        return (grad * (array_of(out) > 0),)


class Abs(Function):
    """Absolute value; the slope at 0 is taken as 0."""

    keeps_inputs = True

    def forward(self, x: Array) -> Array:
        return np.abs(x)

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        return (grad * np.sign(array_of(x)),)


def array_of(x: Any) -> Any:
    """The numbers of an operand that is differentiated no further (a mask, a sign), array or tensor."""
    return x.data if isinstance(x, Function.tensor_type) else x
