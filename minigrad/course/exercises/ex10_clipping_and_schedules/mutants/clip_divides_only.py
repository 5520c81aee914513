"""the gradients are divided by the total norm and not multiplied by max_norm: their norm becomes 1"""

from typing import Any

from minigrad.optim.clipping import gradients_of


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: float) -> None:
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} must be positive")
    if total_norm > max_norm:
        for gradient in gradients_of(parameters):
            gradient /= total_norm
