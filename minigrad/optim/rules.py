"""Update rules: how one parameter array moves, given its gradient.

A rule is a function on arrays with its state in a dict that the caller keeps. It knows no tensor and no graph,
so the same lines serve an optimizer, a parameter server, a shard of either, and a replay of delayed gradients.

    rule(param, grad, state, lr, t, **hyperparameters)

`param` is written in place, `state` is filled on the first call, `t` counts the updates from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigrad.device import Array

State = dict[str, Array]


def sgd(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    """Gradient descent, with heavy-ball momentum v = momentum v + grad; param -= lr v.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"momentum": v} once momentum is used.
        lr: learning rate.
        t: number of this update, from 1 (not used here).
        momentum: 0 for plain descent.
        weight_decay: added to the gradient as weight_decay * param.
        nesterov: step along grad + momentum v instead of v.

    Source: Polyak, Some methods of speeding up the convergence of iteration methods, 1964; in the form of
        Sutskever and others, 2013, and of PyTorch.
    """
    if weight_decay:
        grad = grad + weight_decay * param
    if momentum:
        velocity = state.setdefault("momentum", np.zeros_like(param))
        velocity *= momentum
        velocity += grad
        grad = grad + momentum * velocity if nesterov else velocity
    param -= lr * grad


def adamw(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> None:
    """Adam with decoupled weight decay.

    m and v are running means of the gradient and of its square; both start at 0 and are therefore too small at
    first, which the division by 1 - beta^t corrects. Without it the first step would be sqrt(10) lr instead of
    lr. eps stands outside the root.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"m", "v"}, of param's shape.
        lr: learning rate.
        t: number of this update, from 1.
        betas: decay of the two means.
        eps: keeps the quotient finite where v is 0.
        weight_decay: param shrinks by lr * weight_decay * param, whatever the gradient.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2; Kingma and Ba,
        Adam, 2015, algorithm 1.
    """
    beta1, beta2 = betas
    if "m" not in state:
        state["m"], state["v"] = np.zeros_like(param), np.zeros_like(param)
    m, v = state["m"], state["v"]
    m *= beta1
    m += (1.0 - beta1) * grad
    square = grad * grad
    square *= 1.0 - beta2
    v *= beta2
    v += square
    step = np.sqrt(v, out=square)  # the buffer is free now
    step *= 1.0 / math.sqrt(1.0 - beta2**t)
    step += eps
    np.divide(m, step, out=step)
    step *= lr / (1.0 - beta1**t)
    param *= 1.0 - lr * weight_decay
    param -= step


RULES: dict[str, Callable[..., None]] = {"sgd": sgd, "adamw": adamw}
