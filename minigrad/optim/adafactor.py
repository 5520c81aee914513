"""Adafactor: Adam's second moment from one number a row and one a column."""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array
from minigrad.optim.norms import root_mean_square
from minigrad.optim.rules import State, kept


def adafactor(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    beta2_decay: float = -0.8,
    eps: tuple[float, float] = (1e-30, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    relative_step: bool = True,
) -> None:
    """Divide the gradient by the root of a factored mean of its square, and clip what comes out.

    There is no momentum, so a matrix of n rows and m columns has n + m numbers of state. Its mean square gradient
    is taken to be (mean of the row) (mean of the column) / (mean of all), which is exact for a matrix of rank one.
    A whole matrix is needed: a shard knows neither its rows' means nor its columns'.

    Args:
        param: any shape, float32 or float64; written in place. Two axes or more: the last two are factored.
        grad: of param's shape; not written.
        state: {"row": (..., n, 1), "col": (..., 1, m)}, or {"v"} for a parameter of fewer axes.
        lr: largest learning rate. A step is min(lr, 1 / sqrt(t)) times the root mean square of param.
        t: number of this update, from 1.
        beta2_decay: the mean of squares decays by 1 - t^beta2_decay: it starts at 0, which needs no correction.
        eps: (added to each square, smallest root mean square of param that counts).
        d: largest root mean square of an update; a longer one is scaled down.
        weight_decay: param shrinks by lr * weight_decay * param, whatever the gradient.
        relative_step: False for steps of lr times the update, as other optimizers have.

    Source: Shazeer and Stern, Adafactor, 2018, algorithms 4 to 6.
    Differs: weight_decay is not in the paper; it is as in PyTorch.
    """
    beta2 = 1.0 - t**beta2_decay
    update = grad / np.sqrt(mean_square(grad, state, beta2, eps[0]))
    update /= max(1.0, root_mean_square(update) / d)
    step = min(lr, 1.0 / math.sqrt(t)) * max(eps[1], root_mean_square(param)) if relative_step else lr
    param *= 1.0 - lr * weight_decay
    param -= step * update


def mean_square(grad: Array, state: State, beta2: float, eps: float) -> Array:
    """Update the running mean of the squared gradient; return it, put together from its factors if it has two axes."""
    square = grad * grad + eps
    if grad.ndim < 2:
        return decayed(state, "v", square, beta2)
    row = decayed(state, "row", square.mean(axis=-1, keepdims=True), beta2)  # (..., n, 1)
    col = decayed(state, "col", square.mean(axis=-2, keepdims=True), beta2)  # (..., 1, m)
    # The quotient first: row times col would underflow in float32 where the gradient is zero.
    return row / row.mean(axis=-2, keepdims=True) * col


def decayed(state: State, name: str, new: Array, beta: float) -> Array:
    """The running mean state[name], moved towards `new` by 1 - beta, in place."""
    mean = kept(state, name, new)
    mean *= beta
    mean += (1.0 - beta) * new
    return mean
