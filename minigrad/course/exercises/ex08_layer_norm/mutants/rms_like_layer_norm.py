"""this is layer norm's formula: RMS norm subtracts no mean on the way forward, so none leaves on the way back"""

from typing import Any


def rms_norm_backward(grad: Any, x_hat: Any, inverse_rms: Any, weight: Any) -> Any:
    axes = tuple(range(grad.ndim - 1))
    h = grad * weight
    dx = (h - h.mean(axis=-1, keepdims=True) - x_hat * (h * x_hat).mean(axis=-1, keepdims=True)) * inverse_rms
    return dx, (grad * x_hat).sum(axis=axes)
