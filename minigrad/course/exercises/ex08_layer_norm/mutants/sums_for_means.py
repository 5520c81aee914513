"""sums over the row where means belong: 1 / C is missing"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = (h - h.sum(axis=-1, keepdims=True) - x_hat * (h * x_hat).sum(axis=-1, keepdims=True)) * inverse_deviation
    return dx, (grad * x_hat).sum(axis=axes), grad.sum(axis=axes)
