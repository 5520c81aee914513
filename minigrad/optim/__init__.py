"""Optimizers, schedules and clipping."""

from minigrad.optim.clipping import clip_grad_norm_
from minigrad.optim.optimizer import SGD, AdamW, Optimizer
from minigrad.optim.rules import RULES
from minigrad.optim.schedules import warmup_cosine

__all__ = ["RULES", "SGD", "AdamW", "Optimizer", "clip_grad_norm_", "warmup_cosine"]
