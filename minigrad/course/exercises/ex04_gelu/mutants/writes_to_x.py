"""the numbers are right, but x is written to: the backward needs it as it was"""

from typing import Any

from minigrad.kernels.naive_cpu import gelu_tanh_factor, normal_cdf


def gelu_forward(x: Any, approximate: str = "none") -> Any:
    x *= 0.5 * (1.0 + gelu_tanh_factor(x)) if approximate == "tanh" else normal_cdf(x)[0]
    return x
