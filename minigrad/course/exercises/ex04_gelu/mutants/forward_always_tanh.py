"""the forward computes the tanh form whatever `approximate` says"""

from typing import Any

from minigrad.kernels.naive_cpu import gelu_tanh_factor


def gelu_forward(x: Any, approximate: str = "none") -> Any:
    return 0.5 * x * (1.0 + gelu_tanh_factor(x))
