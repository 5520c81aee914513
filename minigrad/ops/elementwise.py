"""Operations that treat each element alone, and broadcast when there are two operands.

The functions of NumPy used here (`np.exp`, ...) are universal functions: given a CuPy array they run on the
GPU, by NumPy's own dispatch protocol. So this file names no device.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.autograd import Function
from minigrad.device import Array
from minigrad.kernels import kernels_for
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


class Power(Function):
    """a ** b for two tensors. The slope in b, a^b log a, is taken as 0 where a is not positive."""

    keeps_inputs = True

    def forward(self, a: Array, b: Array) -> Array:
        return a**b

    def backward(self, grad: Any, a: Any, b: Any) -> tuple[Any, Any]:
        da = unbroadcast(grad * b * Power.run(a, b - 1.0), a.shape) if self.needs[0] else None
        if not self.needs[1]:
            return da, None
        positive = array_of(a) > 0
        safe = a * positive + ~positive  # 1 where log has no value
        return da, unbroadcast(grad * Power.run(a, b) * Log.run(safe) * positive, b.shape)


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
    """1 / (1 + e^-x) = e^x / (1 + e^x): the form whose exponent is negative is used, and cannot overflow."""

    keeps_output = True

    def forward(self, x: Array) -> Array:
        z = np.exp(-np.abs(x))
        return np.where(x >= 0, 1.0, z) / (1.0 + z)

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


class Where(Function):
    """a where the condition holds, b elsewhere."""

    def forward(self, a: Array, b: Array, *, condition: Array) -> Array:
        self.shapes, self.condition = (a.shape, b.shape), condition
        return np.where(condition, a, b)

    def backward(self, grad: Any) -> tuple[Any, Any]:
        return (
            unbroadcast(grad * self.condition, self.shapes[0]) if self.needs[0] else None,
            unbroadcast(grad * ~self.condition, self.shapes[1]) if self.needs[1] else None,
        )


class Maximum(Function):
    """The larger of two; equal ones share the gradient evenly."""

    keeps_inputs = True

    def forward(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)

    def backward(self, grad: Any, a: Any, b: Any) -> tuple[Any, Any]:
        x, y = array_of(a), array_of(b)
        share = ((x > y) + 0.5 * (x == y)).astype(x.dtype)
        return (
            unbroadcast(grad * share, a.shape) if self.needs[0] else None,
            unbroadcast(grad * (1.0 - share), b.shape) if self.needs[1] else None,
        )


class Clip(Function):
    """x kept within [low, high]; the gradient passes where x was inside, ends included."""

    keeps_inputs = True

    def forward(self, x: Array, *, low: float | None, high: float | None) -> Array:
        self.low, self.high = low, high
        return np.clip(x, low, high)

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        numbers = array_of(x)
        inside = np.ones(numbers.shape, bool)
        if self.low is not None:
            inside &= numbers >= self.low
        if self.high is not None:
            inside &= numbers <= self.high
        return (grad * inside,)


class LeakyRelu(Function):
    """x where positive, slope * x elsewhere."""

    keeps_inputs = True

    def forward(self, x: Array, *, slope: float) -> Array:
        self.slope = slope
        return np.where(x > 0, x, slope * x)

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        numbers = array_of(x)
        return (grad * np.where(numbers > 0, 1.0, self.slope).astype(numbers.dtype),)


class Softplus(Function):
    """log(1 + e^x), a smooth relu; its slope is the sigmoid."""

    keeps_inputs = True

    def forward(self, x: Array) -> Array:
        return np.logaddexp(x, np.zeros((), x.dtype))

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        return (grad * Sigmoid.run(x),)


class Erf(Function):
    """Error function; its slope is 2 / sqrt(pi) e^(-x^2)."""

    keeps_inputs = True

    def forward(self, x: Array) -> Array:
        return 2.0 * kernels_for(x).normal_cdf(x * math.sqrt(2.0))[0] - 1.0

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        return (grad * Exp.run(x * x * -1.0) * (2.0 / math.sqrt(math.pi)),)


def array_of(x: Any) -> Any:
    """The numbers of an operand that is differentiated no further (a mask, a sign), array or tensor."""
    return x.data if isinstance(x, Function.tensor_type) else x
