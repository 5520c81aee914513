"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minigrad.device import Array
from minigrad.optim.norms import sum_of_squares
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
    Differs: PyTorch divides by norm + 1e-6 and so ends a little below max_norm.
    """
    parameters = list(parameters)
    total = get_total_norm(parameters)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def get_total_norm(parameters: Iterable[Trainable]) -> float:
    """The joint 2-norm of all gradients, 0 if there are none."""
    return math.sqrt(sum(sum_of_squares(gradient) for gradient in gradients_of(parameters)))


def clip_grads_with_norm_(parameters: Iterable[Trainable], max_norm: float, total_norm: float) -> None:
    """Clip by a norm that is known: what a rank does whose gradients are only a part of all.

    Args:
        parameters: those without a gradient are passed over.
        max_norm: positive.
        total_norm: the joint 2-norm of all gradients, those on other ranks included.

    Raises:
        ValueError: max_norm not positive.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm} must be positive")
    if total_norm > max_norm:
        for gradient in gradients_of(parameters):
            gradient *= max_norm / total_norm


def clip_grad_value_(parameters: Iterable[Trainable], clip_value: float) -> None:
    """Cut each number of each gradient to [-clip_value, clip_value]. This changes the direction of the step.

    Args:
        parameters: those without a gradient are passed over.
        clip_value: positive.

    Raises:
        ValueError: clip_value not positive.
    """
    if not clip_value > 0.0:
        raise ValueError(f"clip_value={clip_value} must be positive")
    for gradient in gradients_of(parameters):
        np.clip(gradient, -clip_value, clip_value, out=gradient)


def gradients_of(parameters: Iterable[Trainable]) -> list[Array]:
    """The arrays of the gradients that there are."""
    return [parameter.grad.data for parameter in parameters if parameter.grad is not None]
