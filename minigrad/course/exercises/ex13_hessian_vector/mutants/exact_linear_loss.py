"""a linear loss has gradients that depend on nothing: there is no graph to walk, H v is zero"""

from typing import Any

from minigrad.autograd import grad
from minigrad.curvature.products import flatten, unflatten
from minigrad.tensor import Tensor


class Hessian:
    parameters: Any
    _gradients: Any

    def __matmul__(self, vector: Any) -> Any:
        pieces = unflatten(vector, self.parameters)
        products = [
            (gradient * Tensor(piece)).sum()
            for gradient, piece in zip(self._gradients, pieces, strict=True)
            if gradient is not None
        ]
        along = products[0]
        for product in products[1:]:
            along = along + product
        return flatten(grad(along, self.parameters, retain_graph=True, allow_unused=True), self.parameters)
