"""the bias correction is missing: m and v start at 0 and must be divided by 1 - beta^t"""

from typing import Any

import numpy as np


def adamw(
    param: Any, grad: Any, state: Any, lr: float, t: int, *,
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01,
) -> None:  # fmt: skip
    m, v = state.setdefault("m", np.zeros_like(param)), state.setdefault("v", np.zeros_like(param))
    m[...] = betas[0] * m + (1.0 - betas[0]) * grad
    v[...] = betas[1] * v + (1.0 - betas[1]) * grad * grad
    param *= 1.0 - lr * weight_decay
    param -= lr * m / (np.sqrt(v) + eps)
