"""each parameter's gradient is differentiated by that parameter alone: what couples them is lost"""

from typing import Any

from minigrad.autograd import grad
from minigrad.curvature.products import flatten, unflatten
from minigrad.tensor import Tensor


class Hessian:
    parameters: Any
    _gradients: Any

    def __matmul__(self, vector: Any) -> Any:
        pieces = unflatten(vector, self.parameters)
        found: list[Any] = []
        for gradient, piece, parameter in zip(self._gradients, pieces, self.parameters, strict=True):
            if gradient is None or not gradient.requires_grad:
                found.append(None)
            else:
                product = (gradient * Tensor(piece)).sum()
                found += grad(product, [parameter], retain_graph=True, allow_unused=True)
        return flatten(found, self.parameters)
