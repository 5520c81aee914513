"""the axes stretched from length 1 are summed, those added in front are not"""

from typing import Any


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    added = grad.ndim - len(shape)
    axes = tuple(i + added for i, n in enumerate(shape) if n == 1 and grad.shape[i + added] != 1)
    return grad.sum(axis=axes, keepdims=True) if axes else grad
