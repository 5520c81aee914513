"""Optimizers, schedules, clipping and weight averaging."""

from minigrad.optim import schedules
from minigrad.optim.algorithms import (
    LAMB,
    LARS,
    OPTIMIZERS,
    SGD,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    AveragedMomentum,
    Lion,
    RMSprop,
)
from minigrad.optim.averaging import ExponentialMovingAverage
from minigrad.optim.clipping import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.registry import RULES
from minigrad.optim.schedules import linear_scaling, warmup_cosine

__all__ = [
    "LAMB",
    "LARS",
    "OPTIMIZERS",
    "RULES",
    "SGD",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "AveragedMomentum",
    "ExponentialMovingAverage",
    "Lion",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "linear_scaling",
    "schedules",
    "warmup_cosine",
]
