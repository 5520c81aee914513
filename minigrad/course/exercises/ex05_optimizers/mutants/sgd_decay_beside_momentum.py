"""weight decay goes past the momentum: it is to be added to the gradient before"""

from typing import Any

import numpy as np


def sgd(
    param: Any, grad: Any, state: Any, lr: float, t: int, *,
    momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
) -> None:  # fmt: skip
    decay = lr * weight_decay * param
    if momentum:
        velocity = state.setdefault("momentum", np.zeros_like(param))
        velocity *= momentum
        velocity += grad
        grad = grad + momentum * velocity if nesterov else velocity
    param -= lr * grad
    param -= decay
