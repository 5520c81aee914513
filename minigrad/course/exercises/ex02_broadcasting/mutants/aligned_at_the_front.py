"""the shapes are compared from the front; broadcasting aligns them at the last axis"""

from typing import Any


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    padded = shape + (1,) * (grad.ndim - len(shape))
    axes = tuple(i for i, n in enumerate(padded) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=axes, keepdims=True).reshape(shape) if axes else grad.reshape(shape)
