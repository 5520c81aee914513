"""the means run over the first axis, that is over the rows; each row is normalised by itself, over the last"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = (h - h.mean(axis=0, keepdims=True) - x_hat * (h * x_hat).mean(axis=0, keepdims=True)) * inverse_deviation
    return dx, (grad * x_hat).sum(axis=axes), grad.sum(axis=axes)
