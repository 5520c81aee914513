"""Update rules: how one parameter array moves, given its gradient.

A rule is a function on arrays with its state in a dict that the caller keeps. It knows no tensor and no graph,
so the same lines serve an optimizer, a parameter server, a shard of either, and a replay of delayed gradients.

    rule(param, grad, state, lr, t, **hyperparameters)

`param` is written in place, `state` is filled on the first call, `t` counts the updates from 1.

These look at each number by itself, so a shard of a parameter moves as it would in the whole, and `in_blocks` can
apply them to one block after the other, which costs fewer trips to memory. Those that need a norm are in layerwise.py,
the one that needs rows and columns in adafactor.py.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array
from minigrad.optim.blockwise import in_blocks

State = dict[str, Array]


def kept(state: State, name: str, like: Array) -> Array:
    """The array of that name in the state; zeros of the shape and dtype of `like` when it is not there yet."""
    if name not in state:
        state[name] = np.zeros_like(like)
    return state[name]


@in_blocks
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


@in_blocks
def averaged_momentum(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    beta: float = 0.9,
    weight_decay: float = 0.0,
) -> None:
    """Momentum as a running mean, v = beta v + (1 - beta) grad; param -= lr v.

    It is heavy ball with another unit of step size. This v is 1 - beta times that of `sgd`, so both walk the same
    path if lr here is 1 / (1 - beta) times the lr there: 10 times at beta = 0.9. The first form's v is as large as
    a sum of 1 / (1 - beta) gradients, this one's as large as one gradient.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"momentum": v}.
        lr: learning rate, lr_heavy_ball / (1 - beta) for the same path.
        t: number of this update, from 1 (not used here).
        beta: decay of the mean.
        weight_decay: added to the gradient as weight_decay * param.

    Source: the mean without its correction, as in Adam (Kingma and Ba, 2015), algorithm 1; for the heavy ball see
        `sgd`.
    """
    if weight_decay:
        grad = grad + weight_decay * param
    velocity = kept(state, "momentum", param)
    velocity *= beta
    velocity += (1.0 - beta) * grad
    param -= lr * velocity


@in_blocks
def adagrad(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
) -> None:
    """Divide each number's step by the root of the sum of its squared gradients.

    A number whose gradient is seldom other than zero keeps a large step. The sum only grows, so every step shrinks,
    like 1 / sqrt(t) under gradients of constant size.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"sum"}, of param's shape.
        lr: learning rate, the size of the first step.
        t: number of this update, from 1 (not used here).
        eps: keeps the quotient finite where the sum is 0; outside the root.
        weight_decay: added to the gradient as weight_decay * param.

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods, 2011, the diagonal form.
    """
    if weight_decay:
        grad = grad + weight_decay * param
    total = kept(state, "sum", param)
    total += grad * grad
    param -= lr * grad / (np.sqrt(total) + eps)


@in_blocks
def rmsprop(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> None:
    """Adagrad with a running mean of the squares in place of their sum, so that the step does not die out.

    The mean starts at 0 and is not corrected: the first step is lr / sqrt(1 - alpha), 10 lr by default.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"v"}, with "mean" if centered and "momentum" once that is used; each of param's shape.
        lr: learning rate.
        t: number of this update, from 1 (not used here).
        alpha: decay of the mean of squares.
        eps: keeps the quotient finite where v is 0; outside the root.
        weight_decay: added to the gradient as weight_decay * param.
        momentum: heavy ball on the divided steps; 0 for none.
        centered: divide by the standard deviation of the gradient, not by its root mean square.

    Source: Tieleman and Hinton, Neural networks for machine learning, lecture 6.5, 2012; centered: Graves,
        Generating sequences with recurrent neural networks, 2013, section 4.2.
    """
    if weight_decay:
        grad = grad + weight_decay * param
    variance = v = kept(state, "v", param)
    v *= alpha
    v += (1.0 - alpha) * grad * grad
    if centered:
        mean = kept(state, "mean", param)
        mean *= alpha
        mean += (1.0 - alpha) * grad
        variance = np.maximum(v - mean * mean, 0.0)  # rounding can make it negative where the gradient is constant
    step = grad / (np.sqrt(variance) + eps)
    if momentum:
        velocity = kept(state, "momentum", param)
        velocity *= momentum
        velocity += step
        step = velocity
    param -= lr * step


def adam_direction(
    grad: Array, state: State, t: int, betas: tuple[float, float], eps: float, bias_correction: bool = True
) -> Array:
    """Update Adam's two means with a gradient; return the first over the root of the second, as a new array."""
    beta1, beta2 = betas
    m, v = kept(state, "m", grad), kept(state, "v", grad)
    m *= beta1
    m += (1.0 - beta1) * grad
    v *= beta2
    v += (1.0 - beta2) * grad * grad
    # Both means start at 0, which makes them too small by these factors.
    correction1, correction2 = (1.0 - beta1**t, 1.0 - beta2**t) if bias_correction else (1.0, 1.0)
    return (m / correction1) / (np.sqrt(v) / math.sqrt(correction2) + eps)


@in_blocks
def adam(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    bias_correction: bool = True,
) -> None:
    """Step by the running mean of the gradient over the root of the running mean of its square.

    A step is about lr long in each number, whatever the gradient's scale; the first is exactly that
    (|grad| >> eps). Without bias correction it would be (1 - beta1) / sqrt(1 - beta2) lr, which is 3.16 lr.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"m", "v"}, of param's shape.
        lr: learning rate.
        t: number of this update, from 1.
        betas: decay of the two means.
        eps: keeps the quotient finite where v is 0; outside the root.
        weight_decay: added to the gradient as weight_decay * param, so that Adam divides it too; `adamw` does not.
        bias_correction: divide the means by 1 - beta^t; switch it off to see what it is for.

    Source: Kingma and Ba, Adam, 2015, algorithm 1.
    """
    if weight_decay:
        grad = grad + weight_decay * param
    param -= lr * adam_direction(grad, state, t, betas, eps, bias_correction)


@in_blocks
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

    Cost: 7 memory accesses a number (reads p, g, m, v; writes p, m, v), since blockwise.py keeps the rest in the
        cache; 32 if each line below went through memory.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2; Kingma and Ba,
        Adam, 2015, algorithm 1.
    """
    beta1, beta2 = betas
    m, v = kept(state, "m", param), kept(state, "v", param)
    buffer = np.multiply(grad, 1.0 - beta1, out=np.empty_like(m))  # the one temporary; an array even without axes
    m *= beta1
    m += buffer
    np.multiply(grad, grad, out=buffer)
    buffer *= 1.0 - beta2
    v *= beta2
    v += buffer
    step = np.sqrt(v, out=buffer)
    step *= 1.0 / math.sqrt(1.0 - beta2**t)
    step += eps
    np.divide(m, step, out=step)
    step *= lr / (1.0 - beta1**t)
    param *= 1.0 - lr * weight_decay
    param -= step


@in_blocks
def lion(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
) -> None:
    """Step by the sign of a mean of the gradient: every number moves by lr, up or down, or not at all.

    One array of state, half of Adam's. The mean that is kept decays more slowly (beta2) than the one whose sign is
    taken (beta1), so that the newest gradient counts more in the step than in the memory. Since all steps are as
    long as Adam's longest, lr is 3 to 10 times smaller than Adam's, and weight_decay larger by as much.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"momentum"}, of param's shape.
        lr: learning rate.
        t: number of this update, from 1 (not used here).
        betas: (share of the memory in the step, decay of the memory).
        weight_decay: param shrinks by lr * weight_decay * param, whatever the gradient.

    Source: Chen and others, Symbolic discovery of optimization algorithms, 2023, algorithm 2 and section 5.
    """
    beta1, beta2 = betas
    momentum = kept(state, "momentum", param)
    step = np.sign(beta1 * momentum + (1.0 - beta1) * grad)
    param *= 1.0 - lr * weight_decay
    param -= lr * step
    momentum *= beta2
    momentum += (1.0 - beta2) * grad
