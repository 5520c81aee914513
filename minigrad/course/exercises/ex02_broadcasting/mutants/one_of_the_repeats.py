"""one of the repeats instead of their sum: this is the gradient without accumulation"""

from typing import Any


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    grad = grad[(0,) * (grad.ndim - len(shape))]
    for axis, n in enumerate(shape):
        if n == 1:
            grad = grad[(slice(None),) * axis + (slice(0, 1),)]
    return grad
