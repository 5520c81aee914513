"""the gradient at a leaf is overwritten where the next one must be added: this is the gradient without accumulation"""

from typing import Any

import numpy as np

from minigrad import tensor


class Tensor:
    def accumulate_grad(self, gradient: Any) -> None:
        if isinstance(gradient, tensor.Tensor):
            self.grad = gradient
        else:
            self.grad = tensor.Tensor.wrap(np.array(gradient))
