"""the axes added in front are summed, those stretched from length 1 are not"""

from typing import Any


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    return grad.sum(axis=tuple(range(grad.ndim - len(shape)))) if grad.ndim > len(shape) else grad
