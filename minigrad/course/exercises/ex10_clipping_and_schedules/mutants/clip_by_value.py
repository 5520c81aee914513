"""each number is cut to max_norm by itself: that changes the direction of the step"""

from typing import Any

import numpy as np

from minigrad.optim.clipping import gradients_of


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: float) -> None:
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} must be positive")
    if total_norm > max_norm:
        for gradient in gradients_of(parameters):
            np.clip(gradient, -max_norm, max_norm, out=gradient)
