"""the norm of the parameters themselves: it is their gradients that are clipped"""

from typing import Any

import numpy as np


def get_total_norm(parameters: Any) -> Any:
    return float(np.sqrt(sum(float(np.sum(parameter.data**2)) for parameter in parameters)))
