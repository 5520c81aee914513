"""the sum runs over the whole array instead of along `axis`"""

from typing import Any


def softmax_backward(grad: Any, y: Any, axis: int = -1) -> Any:
    return y * (grad - (grad * y).sum())
