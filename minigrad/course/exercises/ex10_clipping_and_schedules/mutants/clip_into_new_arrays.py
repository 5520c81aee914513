"""the gradients are right, but they are new arrays: others who hold the old ones do not see it"""

from typing import Any


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: float) -> None:
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} must be positive")
    if total_norm > max_norm:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.data = parameter.grad.data * (max_norm / total_norm)
