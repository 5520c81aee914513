"""the product rule's second half is missing: x times the derivative of the other factor"""

from typing import Any

from minigrad.kernels.naive_cpu import gelu_tanh_factor, normal_cdf


def gelu_backward(grad: Any, x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return grad * 0.5 * (1.0 + gelu_tanh_factor(x))
    return grad * normal_cdf(x)[0]
