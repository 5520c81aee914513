"""the derivative alone: the chain rule multiplies it by grad"""

import math
from typing import Any

from minigrad.kernels.naive_cpu import CUBIC, SQRT_2_OVER_PI, gelu_tanh_factor, normal_cdf


def gelu_backward(grad: Any, x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        tanh = gelu_tanh_factor(x)
        slope = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x)
        return 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope
    phi, bell = normal_cdf(x)
    return phi + x * bell / math.sqrt(2.0 * math.pi)
