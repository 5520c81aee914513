"""the gradient itself is returned, not a tuple with one gradient for each input"""

from typing import Any


class Tanh:
    def backward(self, grad: Any, out: Any) -> Any:
        return grad * (1.0 - out * out)
