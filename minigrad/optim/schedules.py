"""Learning-rate schedules: functions from the step's number to a learning rate.

A schedule remembers nothing, so a resumed run needs only the number of its step:

    optimizer.lr = warmup_cosine(step, peak=2e-3, warmup_steps=100, total_steps=5000)

With several parameter groups, make it a factor (peak=1.0) and multiply each group's own rate by it.
"""

from __future__ import annotations

import math


def constant(step: int, *, lr: float) -> float:
    """The same rate at every step.

    >>> constant(1000, lr=0.1)
    0.1
    """
    check_step(step)
    return lr


def step_decay(step: int, *, lr: float, step_size: int, gamma: float = 0.1) -> float:
    """A staircase: the rate is multiplied by `gamma` after every `step_size` steps.

    Args:
        step: number of the step, from 0.
        lr: rate of the first stair.
        step_size: length of a stair in steps.
        gamma: factor from stair to stair.

    Raises:
        ValueError: a negative step, or step_size below 1.

    >>> [round(step_decay(s, lr=1.0, step_size=2), 2) for s in range(6)]
    [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    """
    check_step(step)
    if step_size < 1:
        raise ValueError(f"step_size={step_size} must be at least 1")
    return lr * gamma ** (step // step_size)


def exponential(step: int, *, lr: float, gamma: float) -> float:
    """The rate is multiplied by `gamma` after every step.

    Args:
        step: number of the step, from 0.
        lr: rate of step 0.
        gamma: factor from step to step; it halves in log(2) / (1 - gamma) steps or so.

    Raises:
        ValueError: a negative step.

    >>> exponential(3, lr=1.0, gamma=0.5)
    0.125
    """
    check_step(step)
    return lr * gamma**step


def cosine(step: int, *, peak: float, total_steps: int, final: float = 0.0) -> float:
    """Fall along half a cosine from `peak` to `final`: slowly, fast, slowly.

    Args:
        step: number of the step, from 0.
        peak: rate of step 0.
        total_steps: step at which `final` is reached; later ones stay there.
        final: smallest rate.

    Raises:
        ValueError: a negative step, or total_steps below 1.

    Source: Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts.
    Differs: PyTorch's CosineAnnealingLR climbs again after total_steps.

    >>> [round(cosine(s, peak=1.0, total_steps=4), 2) for s in range(6)]
    [1.0, 0.85, 0.5, 0.15, 0.0, 0.0]
    """
    check_step(step)
    if total_steps < 1:
        raise ValueError(f"total_steps={total_steps} must be at least 1")
    progress = min(1.0, step / total_steps)
    return final + (peak - final) * 0.5 * (1.0 + math.cos(math.pi * progress))


def linear_warmup(step: int, *, peak: float, warmup_steps: int) -> float:
    """Rise in equal parts to `peak`, and stay there.

    At the start gradients are large and Adam's means are young; full steps then can throw a net off for good.

    Args:
        step: number of the step, from 0; its rate is peak / warmup_steps, not 0.
        peak: reached at step `warmup_steps - 1`.
        warmup_steps: length of the rise; 0 for none.

    Raises:
        ValueError: a negative step or warmup_steps.

    Source: Goyal and others, Accurate, large minibatch SGD, 2017, section 2.2.

    >>> [linear_warmup(s, peak=1.0, warmup_steps=4) for s in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    check_step(step)
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps} must not be negative")
    return peak * (step + 1) / warmup_steps if step < warmup_steps else peak


def warmup_cosine(step: int, *, peak: float, warmup_steps: int, total_steps: int, final: float = 0.0) -> float:
    """Rise linearly to `peak` over the first steps, then fall along half a cosine to `final`.

    Args:
        step: number of the step, from 0.
        peak: largest learning rate, reached at step `warmup_steps - 1`.
        warmup_steps: length of the rise; 0 for none.
        total_steps: step at which `final` is reached; later ones stay there.
        final: smallest learning rate.

    Raises:
        ValueError: a negative step, or warmup_steps negative or beyond total_steps.

    Source: Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts.

    >>> [round(warmup_cosine(s, peak=1.0, warmup_steps=2, total_steps=6), 2) for s in range(7)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    check_step(step)
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps={warmup_steps} must lie in [0, total_steps={total_steps}]")
    if step < warmup_steps:
        return linear_warmup(step, peak=peak, warmup_steps=warmup_steps)
    if step >= total_steps:
        return final
    return cosine(step - warmup_steps, peak=peak, total_steps=total_steps - warmup_steps, final=final)


def linear_scaling(base_lr: float, *, batch_size: int, base_batch_size: int = 256) -> float:
    """The rate for another batch size: k times the batch, k times the rate.

    One step over k batches then goes about as far as k steps over one batch each, as long as the gradient hardly
    changes on the way. That fails at the start of training (hence warm-up) and at very large batches.

    Args:
        base_lr: rate that works for base_batch_size.
        batch_size: examples per step, over all ranks.
        base_batch_size: the batch for which base_lr was found.

    Raises:
        ValueError: a batch size below 1.

    Source: Goyal and others, Accurate, large minibatch SGD, 2017, section 2.1: 0.1 for 256 examples, up to 8192.

    >>> linear_scaling(0.1, batch_size=8192)
    3.2
    """
    for name, size in (("batch_size", batch_size), ("base_batch_size", base_batch_size)):
        if size < 1:
            raise ValueError(f"{name}={size} must be at least 1")
    return base_lr * batch_size / base_batch_size


def check_step(step: int) -> None:
    """Refuse a step before the first.

    Raises:
        ValueError: step below 0.
    """
    if step < 0:
        raise ValueError(f"step={step} must not be negative: steps are counted from 0")
