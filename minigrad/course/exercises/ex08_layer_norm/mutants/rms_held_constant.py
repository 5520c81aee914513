"""the root mean square is held constant: it depends on every x of the row"""

from typing import Any


def rms_norm_backward(grad: Any, x_hat: Any, inverse_rms: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = h * inverse_rms
    return dx, (grad * x_hat).sum(axis=axes)
