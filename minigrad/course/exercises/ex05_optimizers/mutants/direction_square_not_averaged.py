"""v is the latest squared gradient, not the running mean of all"""

from typing import Any

import numpy as np


def adam_direction(
    grad: Any, state: Any, t: int, betas: tuple[float, float], eps: float, bias_correction: bool = True
) -> Any:
    m, v = state.setdefault("m", np.zeros_like(grad)), state.setdefault("v", np.zeros_like(grad))
    m[...] = betas[0] * m + (1.0 - betas[0]) * grad
    v[...] = grad * grad
    first = 1.0 - betas[0] ** t if bias_correction else 1.0
    return (m / first) / (np.sqrt(v) + eps)
