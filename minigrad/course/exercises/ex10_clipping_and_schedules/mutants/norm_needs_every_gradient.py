"""a parameter without a gradient is not passed over"""

from typing import Any

import numpy as np


def get_total_norm(parameters: Any) -> Any:
    return float(np.sqrt(sum(float(np.sum(parameter.grad.data**2)) for parameter in parameters)))
