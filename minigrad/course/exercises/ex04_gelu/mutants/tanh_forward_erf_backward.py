"""the backward is that of the exact form whatever `approximate` says: tanh forward with erf backward"""

import math
from typing import Any

from minigrad.kernels.naive_cpu import normal_cdf


def gelu_backward(grad: Any, x: Any, approximate: str = "none") -> Any:
    phi, bell = normal_cdf(x)
    return grad * (phi + x * bell / math.sqrt(2.0 * math.pi))
