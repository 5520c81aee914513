"""Operations worth a kernel of their own, each with its composite definition in primitives.

The kernel makes one or two passes over memory where the composite makes ten. The composite is what the
operation *means*: it serves gradients of gradients, and the tests hold the kernel's backward against it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.autograd import Function, Fused, is_grad_enabled
from minigrad.device import Array
from minigrad.kernels import kernels_for
from minigrad.kernels.constants import CUBIC, SQRT_2_OVER_PI


class Gelu(Fused):
    """x Phi(x), or its tanh form. Its derivative is made in the forward, while x is in the cache."""

    slope: Array | None = None

    def forward(self, x: Array, *, approximate: str = "none") -> Array:
        self.approximate = approximate
        if not is_grad_enabled():
            return kernels_for(x).gelu_forward(x, approximate)
        y, self.slope = kernels_for(x).gelu_forward_with_slope(x, approximate)
        return y

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        if self.slope is None:
            return (kernels_for(x).gelu_backward(grad, x, self.approximate),)
        return (kernels_for(x).gelu_backward_from_slope(grad, self.slope),)

    @staticmethod
    def composite(x: Any, *, approximate: str = "none") -> Any:
        """Both forms in primitives."""
        if approximate == "tanh":
            return x * 0.5 * (1.0 + (SQRT_2_OVER_PI * (x + CUBIC * x**3)).tanh())
        return x * NormalCdf.apply(x)


class NormalCdf(Function):
    """Phi(x); its derivative is the normal density, again in primitives."""

    keeps_inputs = True

    def forward(self, x: Array) -> Array:
        return kernels_for(x).normal_cdf(x)[0]

    def backward(self, grad: Any, x: Any) -> tuple[Any]:
        from minigrad.ops.elementwise import Exp

        return (grad * Exp.run(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi)),)


class Softmax(Function):
    """Softmax along an axis. Its gradient needs the output only, so the input is not kept."""

    keeps_output = True

    def forward(self, x: Array, *, axis: int = -1) -> Array:
        self.axis = axis
        return kernels_for(x).softmax_forward(x, axis)

    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        return (kernels_for(out).softmax_backward(grad, out, self.axis),)

    def backward_with_graph(self, grad: Any, out: Any) -> tuple[Any]:
        """The same formula in operators."""
        weighted = grad * out
        return (weighted - out * weighted.sum(axis=self.axis, keepdims=True),)

    @staticmethod
    def composite(x: Any, *, axis: int = -1) -> Any:
        """exp over its sum."""
        shifted = (x - x.detach().amax(axis, keepdim=True)).exp()
        return shifted / shifted.sum(axis, keepdim=True)


class LogSoftmax(Function):
    """log softmax along an axis, without forming the softmax's quotient."""

    keeps_output = True

    def forward(self, x: Array, *, axis: int = -1) -> Array:
        self.axis = axis
        y = x - x.max(axis=axis, keepdims=True)
        y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
        return y

    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        from minigrad.ops.elementwise import Exp

        return (grad - Exp.run(out) * grad.sum(axis=self.axis, keepdims=True),)


class CrossEntropy(Fused):
    """Mean negative log-likelihood of (N,) target classes under (N, V) logits."""

    def forward(self, logits: Array, *, targets: Array) -> Array:
        self.targets = targets
        losses, self.log_sum = kernels_for(logits).cross_entropy_forward(logits, targets)
        return losses.mean()

    def backward(self, grad: Any, logits: Any) -> tuple[Any]:
        rows = len(self.targets)
        per_row = np.broadcast_to(np.asarray(grad / rows, dtype=logits.dtype), (rows,))
        return (
            kernels_for(logits).cross_entropy_backward(per_row, logits, self.targets, self.log_sum),
        )

    @staticmethod
    def composite(logits: Any, *, targets: Array) -> Any:
        """-mean log softmax[target]."""
        return -LogSoftmax.apply(logits)[np.arange(len(targets)), targets].mean()


class LayerNorm(Fused):
    """Rows of (..., C) to mean 0 and variance 1, scaled by weight (C,) and shifted by bias (C,)."""

    def forward(self, x: Array, weight: Array, bias: Array, *, eps: float = 1e-5) -> Array:
        y, self.x_hat, self.inverse_deviation = kernels_for(x).layer_norm_forward(x, weight, bias, eps)
        return y

    def backward(self, grad: Any, x: Any, weight: Any, bias: Any) -> tuple[Any, ...]:
        return kernels_for(x).layer_norm_backward(
            grad, self.x_hat, self.inverse_deviation, weight
        )

    @staticmethod
    def composite(x: Any, weight: Any, bias: Any, *, eps: float = 1e-5) -> Any:
        """(x - mean) / sqrt(var + eps) * weight + bias."""
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred / (variance + eps).sqrt() * weight + bias


class Embedding(Fused):
    """Rows of a table (V, C) at integer indices (...): out (..., C)."""

    def forward(self, table: Array, *, indices: Array) -> Array:
        self.indices = indices
        return table[indices]

    def backward(self, grad: Any, table: Any) -> tuple[Any]:
        return (kernels_for(table).embedding_backward(grad, self.indices, len(table)),)

    @staticmethod
    def composite(table: Any, *, indices: Array) -> Any:
        """Plain indexing."""
        return table[indices]


class RMSNorm(Fused):
    """Rows of (..., C) divided by their root mean square, times weight (C,)."""

    def forward(self, x: Array, weight: Array, *, eps: float = 1e-6) -> Array:
        y, self.x_hat, self.inverse_rms = kernels_for(x).rms_norm_forward(x, weight, eps)
        return y

    def backward(self, grad: Any, x: Any, weight: Any) -> tuple[Any, ...]:
        return kernels_for(x).rms_norm_backward(grad, self.x_hat, self.inverse_rms, weight)

    @staticmethod
    def composite(x: Any, weight: Any, *, eps: float = 1e-6) -> Any:
        """X / sqrt(mean(x^2) + eps) * weight."""
        return x / ((x * x).mean(-1, keepdim=True) + eps).sqrt() * weight
