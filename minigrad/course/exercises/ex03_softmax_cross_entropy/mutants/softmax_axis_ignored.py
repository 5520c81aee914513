"""`axis` is ignored: the last one is always used"""

from typing import Any


def softmax_backward(grad: Any, y: Any, axis: int = -1) -> Any:
    return y * (grad - (grad * y).sum(axis=-1, keepdims=True))
