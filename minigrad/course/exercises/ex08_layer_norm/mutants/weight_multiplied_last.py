"""the weight is multiplied on at the end: it belongs to h, before the means are taken"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad
    dx = (h - h.mean(axis=-1, keepdims=True) - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)) * inverse_deviation
    dx = dx * weight
    return dx, (grad * x_hat).sum(axis=axes), grad.sum(axis=axes)
