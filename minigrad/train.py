"""The training loop: one for one process and for many.

The loop knows nothing of ranks. It is given a `replica`, which says which part of each batch is its own and how
gradients and numbers are averaged; on one process that is `SingleProcess`, which does nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minigrad import optim
from minigrad.autograd import no_grad
from minigrad.data import DistributedSampler, TextData
from minigrad.nn import GPT, Module


class Replica(Protocol):
    """One of several copies of a model that train together."""

    model: Module
    rank: int
    size: int

    def average_gradients(self, share: float | None = None) -> None:
        """Replace every gradient by the weighted mean over all copies."""

    def mean(self, value: float, share: float | None = None) -> float:
        """The weighted mean of a number over all copies."""


class SingleProcess:
    """The only copy there is."""

    rank, size = 0, 1

    def __init__(self, model: Module) -> None:
        self.model = model

    def average_gradients(self, share: float | None = None) -> None:
        """Nothing to average with."""

    def mean(self, value: float, share: float | None = None) -> float:
        """The number itself."""
        return value


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        steps: optimizer steps.
        batch_size: windows in a global batch, over all ranks.
        lr: peak learning rate; warm-up over a tenth of the steps (at most 100), then half a cosine to a tenth.
        weight_decay: AdamW's.
        clip: largest global gradient norm.
        seed: of the shuffling.
        validate_every: steps between two looks at the validation text; 0 for never.
        validation_windows: how many windows of it.
    """

    steps: int = 200
    batch_size: int = 16
    lr: float = 2e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    validate_every: int = 25
    validation_windows: int = 64

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validation_windows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not self.lr > 0.0:
            raise ValueError(f"lr={self.lr} must be positive")

    def learning_rate(self, step: int) -> float:
        """The rate of step `step`, from 0."""
        return optim.warmup_cosine(
            step,
            peak=self.lr,
            warmup_steps=min(100, self.steps // 10),
            total_steps=self.steps,
            final=0.1 * self.lr,
        )


@dataclass(frozen=True)
class StepRecord:
    """What one step was like.

    Attributes:
        step: number, from 1.
        loss: mean over the global batch before the update, nats per token.
        lr: learning rate used.
        grad_norm: global norm before clipping.
        seconds: wall time of the step.
        tokens: in the global batch.
        validation_loss: after the update, where it was measured.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float
    tokens: int
    validation_loss: float | None = None


class TrainingDivergedError(ArithmeticError):
    """The loss or the gradient is no longer a finite number."""


def train(
    replica: Replica, data: TextData, config: TrainConfig, on_step: Callable[[StepRecord], None] | None = None
) -> list[StepRecord]:
    """Train a GPT with AdamW, warm-up and cosine, and clipping by global norm.

    Args:
        replica: the model and its place among the copies.
        data: text windows.
        config: how.
        on_step: called after every step, on every rank.

    Returns:
        A record per step, the same on all ranks but for the times.

    Raises:
        TrainingDivergedError: a loss or gradient that is NaN or infinite; the parameters are those of the last
            good step.
        ValueError: more ranks than windows in a batch.
    """
    records = []
    for record in train_steps(replica, data, config):
        records.append(record)
        if on_step:
            on_step(record)
    return records


def train_steps(replica: Replica, data: TextData, config: TrainConfig) -> Iterator[StepRecord]:
    """The same as an iterator that does one step each time it is asked."""
    model = replica.model
    assert isinstance(model, GPT)
    optimizer = optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    sampler = DistributedSampler(len(data), config.batch_size, replica.rank, replica.size, seed=config.seed)
    for step, windows in zip(range(config.steps), sampler, strict=False):
        start = time.perf_counter()
        optimizer.lr = config.learning_rate(step)
        with np.errstate(all="ignore"):  # an overflow is reported below, once, with the step
            loss, norm = gradient_step(replica, data, windows, config)
            require_finite(step + 1, optimizer.lr, loss=loss, gradient_norm=norm)
            optimizer.step()
            seconds = time.perf_counter() - start
            due = config.validate_every > 0 and (step + 1) % config.validate_every == 0
            validation = None
            if due or step + 1 == config.steps:
                validation = validation_loss(replica, data, config.validation_windows)
                require_finite(step + 1, optimizer.lr, validation_loss=validation)
        yield StepRecord(
            step=step + 1,
            loss=loss,
            lr=optimizer.lr,
            grad_norm=norm,
            seconds=seconds,
            tokens=config.batch_size * data.block_size,
            validation_loss=validation,
        )


def require_finite(step: int, lr: float, **numbers: float) -> None:
    """Refuse to go on with a NaN or an infinity.

    Raises:
        TrainingDivergedError: naming the step and the number.
    """
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise TrainingDivergedError(
                f"training diverged at step {step}: {name.replace('_', ' ')} {number}; "
                f"try a learning rate below {lr:.3g}"
            )


def gradient_step(
    replica: Replica, data: TextData, windows: np.ndarray, config: TrainConfig
) -> tuple[float, float]:
    """Forward, backward, average, clip: (loss over the global batch, gradient norm before clipping)."""
    model = replica.model
    assert isinstance(model, GPT)
    model.zero_grad()
    share = len(windows) / config.batch_size
    loss = model.loss(*data.batch(windows))
    loss.backward()
    replica.average_gradients(share)
    norm = optim.clip_grad_norm_(model.parameters(), config.clip)
    return replica.mean(loss.item(), share), norm


def validation_loss(replica: Replica, data: TextData, windows: int) -> float:
    """Mean loss over windows of the validation text, shared among the ranks; nats per token."""
    model = replica.model
    assert isinstance(model, GPT)
    inputs, targets = data.validation_batch(windows)
    total = len(inputs)
    inputs, targets = inputs[replica.rank :: replica.size], targets[replica.rank :: replica.size]
    summed = 0.0
    model.eval()
    with no_grad():
        for start in range(0, len(inputs), 8):  # small pieces: the logits of all windows would be large
            piece = slice(start, start + 8)
            summed += model.loss(inputs[piece], targets[piece]).item() * len(inputs[piece])
    model.train()
    return replica.mean(summed / max(1, len(inputs)), len(inputs) / total)
