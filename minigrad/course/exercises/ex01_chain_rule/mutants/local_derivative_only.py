"""the local derivative alone: the chain rule multiplies it by the gradient that arrives"""

from typing import Any


class Tanh:
    def backward(self, grad: Any, out: Any) -> tuple[Any]:
        return (1.0 - out * out,)
