"""max_norm is not looked at: one that is not positive must be refused"""

from typing import Any

from minigrad.optim.clipping import gradients_of


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: float) -> None:
    if total_norm > max_norm:
        for gradient in gradients_of(parameters):
            gradient *= max_norm / total_norm
