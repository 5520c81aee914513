"""only the first parameter's gradient is multiplied with its piece of the vector; all belong to the one number"""

from typing import Any

import numpy as np

from minigrad.autograd import grad
from minigrad.curvature.products import flatten, unflatten
from minigrad.tensor import Tensor


class Hessian:
    parameters: Any
    _gradients: Any
    shape: Any

    def __matmul__(self, vector: Any) -> Any:
        pieces = unflatten(vector, self.parameters)
        products = [
            (gradient * Tensor(piece)).sum()
            for gradient, piece in zip(self._gradients, pieces, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
        if not products:
            return np.zeros(self.shape[0])
        along = products[0]
        return flatten(grad(along, self.parameters, retain_graph=True, allow_unused=True), self.parameters)
