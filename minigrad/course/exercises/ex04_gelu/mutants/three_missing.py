"""the derivative of x^3 is taken for x^2: the 3 is missing in du/dx"""

import math
from typing import Any

from minigrad.kernels.naive_cpu import CUBIC, SQRT_2_OVER_PI, gelu_tanh_factor, normal_cdf


def gelu_backward(grad: Any, x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        tanh = gelu_tanh_factor(x)
        slope = SQRT_2_OVER_PI * (1.0 + CUBIC * x * x)
        return grad * (0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope)
    phi, bell = normal_cdf(x)
    return grad * (phi + x * bell / math.sqrt(2.0 * math.pi))
