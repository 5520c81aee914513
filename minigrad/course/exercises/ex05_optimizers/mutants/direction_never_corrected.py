"""the bias correction is missing: m and v start at 0 and must be divided by 1 - beta^t"""

from typing import Any

import numpy as np


def adam_direction(
    grad: Any, state: Any, t: int, betas: tuple[float, float], eps: float, bias_correction: bool = True
) -> Any:
    m, v = state.setdefault("m", np.zeros_like(grad)), state.setdefault("v", np.zeros_like(grad))
    m[...] = betas[0] * m + (1.0 - betas[0]) * grad
    v[...] = betas[1] * v + (1.0 - betas[1]) * grad * grad
    return m / (np.sqrt(v) + eps)
