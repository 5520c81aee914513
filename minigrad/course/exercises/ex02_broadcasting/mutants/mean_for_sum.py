"""the mean over the repeats instead of their sum"""

from typing import Any


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    added = grad.ndim - len(shape)
    axes = (*range(added), *(i + added for i, n in enumerate(shape) if n == 1 and grad.shape[i + added] != 1))
    return grad.mean(axis=axes).reshape(shape) if axes else grad
