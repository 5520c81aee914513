"""this is the gradient of <g, g> / 2, which is H g: the vector v does not enter"""

from typing import Any

import numpy as np

from minigrad.autograd import grad
from minigrad.curvature.products import flatten, unflatten


class Hessian:
    parameters: Any
    _gradients: Any
    shape: Any

    def __matmul__(self, vector: Any) -> Any:
        pieces = unflatten(vector, self.parameters)
        products = [
            (gradient * gradient).sum() * 0.5
            for gradient, _ in zip(self._gradients, pieces, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
        if not products:
            return np.zeros(self.shape[0])
        along = products[0]
        for product in products[1:]:
            along = along + product
        return flatten(grad(along, self.parameters, retain_graph=True, allow_unused=True), self.parameters)
