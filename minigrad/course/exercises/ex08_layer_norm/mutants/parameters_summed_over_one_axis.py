"""the gradients of weight and bias are summed over the first axis only: they must come out of shape (C,)"""

from typing import Any


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    h = grad * weight
    dx = (h - h.mean(axis=-1, keepdims=True) - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)) * inverse_deviation
    return dx, (grad * x_hat).sum(axis=0), grad.sum(axis=0)
