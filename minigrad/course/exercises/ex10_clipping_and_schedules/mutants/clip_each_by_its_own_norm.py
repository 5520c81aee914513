"""each gradient is cut by its own norm: that changes the direction of the step, one factor for all keeps it"""

from typing import Any

import numpy as np

from minigrad.optim.clipping import gradients_of


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: float) -> None:
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} must be positive")
    for gradient in gradients_of(parameters):
        own = float(np.linalg.norm(gradient))
        if own > max_norm:
            gradient *= max_norm / own
