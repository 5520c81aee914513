"""the backward is that of the tanh form whatever `approximate` says: erf forward with tanh backward"""

from typing import Any

from minigrad.kernels.naive_cpu import CUBIC, SQRT_2_OVER_PI, gelu_tanh_factor


def gelu_backward(grad: Any, x: Any, approximate: str = "none") -> Any:
    tanh = gelu_tanh_factor(x)
    slope = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x)
    return grad * (0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope)
