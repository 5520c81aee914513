"""the numbers are right, but whole rows are read at a time, in grad and in y"""

from typing import Any


def online_softmax_backward(grad: Any, y: Any, block: int) -> Any:
    return (grad - (grad * y).sum(axis=1, keepdims=True)) * y
