"""the weight's gradient is that of the bias: what the weight multiplies is x_hat"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = (h - h.mean(axis=-1, keepdims=True) - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)) * inverse_deviation
    return dx, grad.sum(axis=axes), grad.sum(axis=axes)
