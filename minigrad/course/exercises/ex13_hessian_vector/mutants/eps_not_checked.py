"""eps is not checked: one that is not positive must be refused"""

from typing import Any

import numpy as np

from minigrad.curvature.products import checked_parameters, flat_gradient, moved


def difference_product(loss: Any, parameters: Any, vector: Any, eps: float, central: bool = False) -> Any:
    parameters = checked_parameters(parameters)
    with moved(parameters, eps * vector):
        ahead = flat_gradient(loss, parameters)
    with moved(parameters, -eps * vector if central else 0.0 * vector):
        behind = flat_gradient(loss, parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (ahead - behind) / np.float64(2.0 * eps if central else eps)
