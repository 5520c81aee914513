"""the sums are right, but the stretched axes of length 1 are gone from the shape"""

from typing import Any


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    added = grad.ndim - len(shape)
    axes = (*range(added), *(i + added for i, n in enumerate(shape) if n == 1 and grad.shape[i + added] != 1))
    return grad.sum(axis=axes) if axes else grad
