"""the gradients of weight and bias are means over the rows: each row adds its own, so they are sums"""

from typing import Any

import numpy as np


def layer_norm_backward(grad: Any, x_hat: Any, inverse_deviation: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = (h - h.mean(axis=-1, keepdims=True) - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)) * inverse_deviation
    rows = max(1, int(np.prod(grad.shape[:-1])))
    return dx, (grad * x_hat).sum(axis=axes) / rows, grad.sum(axis=axes) / rows
