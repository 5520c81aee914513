"""the sum over the row is missing: grad y is only the first half"""

from typing import Any


def softmax_backward(grad: Any, y: Any, axis: int = -1) -> Any:
    return grad * y
