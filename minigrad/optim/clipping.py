"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minigrad.optim.optimizer import Trainable


def clip_grad_norm_(parameters: Iterable[Trainable], max_norm: float) -> float:
    """Scale all gradients by one factor so that their joint 2-norm is at most `max_norm`.

    The direction of the step stays; only its length is cut.

    Args:
        parameters: those without a gradient are passed over.
        max_norm: positive.

    Returns:
        The norm before clipping.

    Raises:
        ValueError: max_norm not positive.

    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} must be positive")
    gradients = [p.grad.data for p in parameters if p.grad is not None]
    total = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients))
    if total > max_norm:
        for gradient in gradients:
            gradient *= max_norm / total
    return total
