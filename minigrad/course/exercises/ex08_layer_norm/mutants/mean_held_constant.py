"""the mean is held constant: it depends on every x of the row, so the mean of h must be subtracted"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = (h - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)) * inverse_deviation
    return dx, (grad * x_hat).sum(axis=axes), grad.sum(axis=axes)
