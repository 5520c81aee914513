"""the velocity does not survive the call: `state` is never filled, so every step is the first"""

from typing import Any


def sgd(
    param: Any, grad: Any, state: Any, lr: float, t: int, *,
    momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
) -> None:  # fmt: skip
    grad = grad + weight_decay * param
    velocity = state.get("momentum", 0.0) * momentum + grad
    param -= lr * (grad + momentum * velocity if nesterov else velocity)
