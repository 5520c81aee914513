"""the first gradient is kept instead of copied, so that adding the next one writes into somebody else's array"""

from typing import Any

from minigrad import tensor


class Tensor:
    grad: Any

    def accumulate_grad(self, gradient: Any) -> None:
        if isinstance(gradient, tensor.Tensor):
            self.grad = gradient if self.grad is None else self.grad + gradient
        elif self.grad is None:
            self.grad = tensor.Tensor.wrap(gradient)
        else:
            self.grad.data += gradient
