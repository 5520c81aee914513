"""the numbers are right, but grad is written to, and it is the caller's"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    dweight, dbias = (grad * x_hat).sum(axis=axes), grad.sum(axis=axes)
    grad *= weight
    h = grad
    dx = (h - h.mean(axis=-1, keepdims=True) - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)) * inverse_deviation
    grad[...] = dx
    return dx, dweight, dbias
