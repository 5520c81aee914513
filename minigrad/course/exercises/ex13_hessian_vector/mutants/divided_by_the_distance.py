"""divided by the distance eps |v|: that is H v over |v|"""

from typing import Any

import numpy as np

from minigrad.curvature.products import checked_parameters, flat_gradient, moved


def difference_product(loss: Any, parameters: Any, vector: Any, eps: float, central: bool = False) -> Any:
    if not 0.0 < eps < np.inf:
        raise ValueError(f"eps={eps} must be positive and finite")
    parameters = checked_parameters(parameters)
    with moved(parameters, eps * vector):
        ahead = flat_gradient(loss, parameters)
    with moved(parameters, -eps * vector if central else 0.0 * vector):
        behind = flat_gradient(loss, parameters)
    distance = eps * float(np.linalg.norm(vector))
    return (ahead - behind) / (2.0 * distance if central else distance)
