"""the central difference is taken whatever `central` says"""

from typing import Any

import numpy as np

from minigrad.curvature.products import checked_parameters, flat_gradient, moved


def difference_product(loss: Any, parameters: Any, vector: Any, eps: float, central: bool = False) -> Any:
    if not 0.0 < eps < np.inf:
        raise ValueError(f"eps={eps} must be positive and finite")
    parameters = checked_parameters(parameters)
    with moved(parameters, eps * vector):
        ahead = flat_gradient(loss, parameters)
    with moved(parameters, -eps * vector):
        behind = flat_gradient(loss, parameters)
    return (ahead - behind) / (2.0 * eps)
