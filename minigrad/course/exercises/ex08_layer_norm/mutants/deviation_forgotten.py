"""dx is not divided by the deviation: a row that was shrunk on the way forward passes on less"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = h - h.mean(axis=-1, keepdims=True) - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)
    return dx, (grad * x_hat).sum(axis=axes), grad.sum(axis=axes)
