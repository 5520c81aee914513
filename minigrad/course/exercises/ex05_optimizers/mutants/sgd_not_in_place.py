"""param is not written in place: `param = param - ...` only gives the name a new meaning inside the function"""

from typing import Any

import numpy as np


def sgd(
    param: Any, grad: Any, state: Any, lr: float, t: int, *,
    momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
) -> None:  # fmt: skip
    grad = grad + weight_decay * param
    if momentum:
        velocity = state.setdefault("momentum", np.zeros_like(param))
        velocity *= momentum
        velocity += grad
        grad = grad + momentum * velocity if nesterov else velocity
    param = param - lr * grad
