"""Learning-rate schedules: functions from the step's number to a learning rate."""

from __future__ import annotations

import math


def warmup_cosine(step: int, *, peak: float, warmup_steps: int, total_steps: int, final: float = 0.0) -> float:
    """Rise linearly to `peak` over the first steps, then fall along half a cosine to `final`.

    Args:
        step: number of the step, from 0.
        peak: largest learning rate, reached at step `warmup_steps - 1`.
        warmup_steps: length of the rise; 0 for none.
        total_steps: step at which `final` is reached; later ones stay there.
        final: smallest learning rate.

    Raises:
        ValueError: warmup_steps negative or beyond total_steps.

    Source: Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts.

    >>> [round(warmup_cosine(s, peak=1.0, warmup_steps=2, total_steps=6), 2) for s in range(7)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps={warmup_steps} must lie in [0, total_steps={total_steps}]")
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if step >= total_steps:
        return final
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return final + (peak - final) * 0.5 * (1.0 + math.cos(math.pi * progress))
