"""the variance is held constant: it depends on every x of the row, which takes out of h what lies along x_hat"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = (h - h.mean(axis=-1, keepdims=True)) * inverse_deviation
    return dx, (grad * x_hat).sum(axis=axes), grad.sum(axis=axes)
