"""exp(-x^2/2) stands for the density: its factor 1 / sqrt(2 pi) is missing"""

from typing import Any

from minigrad.kernels.naive_cpu import CUBIC, SQRT_2_OVER_PI, gelu_tanh_factor, normal_cdf


def gelu_backward(grad: Any, x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        tanh = gelu_tanh_factor(x)
        slope = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x)
        return grad * (0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope)
    phi, bell = normal_cdf(x)
    return grad * (phi + x * bell)
