"""gradients that are short enough are scaled up to max_norm: below it nothing is to happen"""

from typing import Any

from minigrad.optim.clipping import gradients_of


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: float) -> None:
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} must be positive")
    for gradient in gradients_of(parameters):
        gradient *= max_norm / max(total_norm, 1e-30)
