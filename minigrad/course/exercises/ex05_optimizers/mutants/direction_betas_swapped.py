"""betas[0] is for the mean of the gradient, betas[1] for that of its square: they are swapped"""

from typing import Any

import numpy as np


def adam_direction(
    grad: Any, state: Any, t: int, betas: tuple[float, float], eps: float, bias_correction: bool = True
) -> Any:
    betas = betas[1], betas[0]
    m, v = state.setdefault("m", np.zeros_like(grad)), state.setdefault("v", np.zeros_like(grad))
    m[...] = betas[0] * m + (1.0 - betas[0]) * grad
    v[...] = betas[1] * v + (1.0 - betas[1]) * grad * grad
    first, second = (1.0 - betas[0] ** t, 1.0 - betas[1] ** t) if bias_correction else (1.0, 1.0)
    return (m / first) / (np.sqrt(v / second) + eps)
