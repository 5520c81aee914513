"""Optimizer updates as kernels: the names and signatures of the GPU's, on NumPy arrays.

The rules in minigrad/optim/rules.py say what an update is, one NumPy expression after the other, and training uses
those, on any device: optim/blockwise.py applies them to one block after another. These kernels are the same update
taken apart to single operations that all write to one buffer, also in blocks, which here may go to several threads.
They are what the CUDA kernels in cuda/optimizers.cu are compared with. The result is the rule's to the last bit.

MEMORY ACCESSES per element, in units of one number, where the arrays are larger than the cache; the rules' as if each
expression were applied to whole arrays:

    AdamW    rule 32     m *= b (2), (1 - b) grad (2), m += (3), grad grad (2), *= (2), v *= b (2), v += (3), root (2),
                         three scalings of the step (6), quotient (3), p *= (2), p -= (3)
             here  7     p, grad, m, v are read; p, m, v are written
    SGD with momentum
             rule 10     v *= b (2), v += (3), lr v (2), p -= (3)
             here  5     p, grad, v are read; p, v are written
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigrad.device import Array
from minigrad.kernels.threads import for_row_blocks


def adamw_update(
    param: Array, grad: Array, mean: Array, square: Array, lr: float, betas: tuple[float, float], eps: float,
    weight_decay: float, t: int,
) -> None:  # fmt: skip
    """One AdamW step in place on param, mean and square.

    Args:
        param, mean, square: one shape and dtype; written.
        grad: of that shape; not written.
        lr: learning rate.
        betas: decay of the two means.
        eps: keeps the quotient finite, outside the root.
        weight_decay: param shrinks by lr * weight_decay * param.
        t: number of this update, from 1.

    Cost: 7 memory accesses an element: 28 bytes in float32.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2.
    """
    beta1, beta2 = betas
    root_correction = 1.0 / math.sqrt(1.0 - beta2**t)
    rate = lr / (1.0 - beta1**t)

    def update(p: Array, g: Array, m: Array, v: Array, step: Array) -> None:
        m *= beta1
        np.multiply(g, 1.0 - beta1, out=step)
        m += step
        v *= beta2
        np.multiply(g, g, out=step)
        step *= 1.0 - beta2
        v += step
        np.sqrt(v, out=step)
        step *= root_correction
        step += eps
        np.divide(m, step, out=step)
        step *= rate
        p *= 1.0 - lr * weight_decay
        p -= step

    update_in_blocks(update, param, grad, mean, square)


def sgd_update(
    param: Array, grad: Array, velocity: Array | None, lr: float, momentum: float, weight_decay: float
) -> None:
    """One step of SGD in place on param and velocity: v = momentum v + grad + weight_decay param; param -= lr v.

    Args:
        param: any shape, float; written.
        grad: of that shape; not written.
        velocity: of that shape, written; None, where momentum is 0, for an update without it.
        lr: learning rate.
        momentum: decay of the velocity.
        weight_decay: added to the gradient as weight_decay * param.

    Cost: 5 memory accesses an element, 3 without velocity.

    Source: Polyak, Some methods of speeding up the convergence of iteration methods, 1964.
    """

    def update(p: Array, g: Array, *rest: Array) -> None:
        step = rest[-1]
        if weight_decay:
            np.multiply(p, weight_decay, out=step)
            step += g
            g = step
        if velocity is not None:
            v = rest[0]
            v *= momentum
            v += g
            g = v
        np.multiply(g, lr, out=step)
        p -= step

    update_in_blocks(update, param, grad, *(() if velocity is None else (velocity,)))


def update_in_blocks(update: Callable[..., None], param: Array, grad: Array, *states: Array) -> None:
    """Call `update(param, grad, *states, buffer)` on blocks of all arrays; the buffer is like a block of param."""
    arrays = (param, *states)
    if not all(array.flags.c_contiguous for array in arrays):  # a view with gaps cannot be cut into flat blocks
        update(param, grad, *states, np.empty_like(param))
        return
    flat_param, *flat_states = (array.reshape(-1) for array in arrays)
    flat_grad = grad.reshape(-1)

    def work(block: slice) -> None:
        p = flat_param[block]
        update(p, flat_grad[block], *(state[block] for state in flat_states), np.empty_like(p))

    for_row_blocks(work, param.size)
