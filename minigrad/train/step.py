"""One training step: the loss of a batch and its gradient, in pieces, in short numbers, over many ranks."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, runtime_checkable

import numpy as np

from minigrad.device import Array
from minigrad.nn import Module
from minigrad.nn import functional as F
from minigrad.precision import GradScaler, autocast
from minigrad.tensor import Tensor
from minigrad.train.accumulation import accumulate_gradients
from minigrad.train.config import TrainConfig
from minigrad.train.replica import Replica
from minigrad.train.threads import BatchThreads


class TrainingData(Protocol):
    """Numbered examples, and some that are never trained on: `TextData`, `LabelledData`."""

    def __len__(self) -> int:
        """Number of training examples."""

    def batch(self, indices: Array) -> tuple[Array, Array]:
        """Inputs and targets of the training examples with these numbers."""

    def validation_batch(self, size: int) -> tuple[Array, Array]:
        """Inputs and targets of at most `size` others."""


@runtime_checkable
class HasLoss(Protocol):
    """A model that brings its own loss, as GPT does."""

    def loss(self, inputs: Any, targets: Any) -> Tensor:
        """Mean over the targets."""


def batch_loss(model: Module, inputs: Array, targets: Array) -> Tensor:
    """The model's own loss if it has one; otherwise the cross-entropy of its outputs (B, classes)."""
    if isinstance(model, HasLoss):
        return model.loss(inputs, targets)
    return F.cross_entropy(model(Tensor(inputs)), targets)


def in_precision(precision: str) -> AbstractContextManager[Any]:
    """Autocast, or nothing at all for float32."""
    return nullcontext() if precision == "float32" else autocast(precision)


def gradient_step(
    replica: Replica,
    data: TrainingData,
    windows: Array,
    config: TrainConfig,
    scaler: GradScaler | None = None,
    threads: BatchThreads | None = None,
) -> tuple[float, float]:
    """Forward, backward, average, clip.

    Every rank cuts its examples into the same number of micro-batches, so that strategies which communicate inside a
    forward find each other.

    Args:
        replica: the model and its place among the copies.
        data: where the examples come from.
        windows: numbers of this rank's examples of the batch.
        config: batch size, micro-batches, precision, clipping.
        scaler: scales the loss, if given; the gradients are unscaled again.
        threads: share each micro-batch, if given.

    Returns:
        Loss over the global batch, and gradient norm before clipping: infinite if scaled gradients overflowed.
    """
    model = replica.model
    model.zero_grad()
    share = len(windows) / config.batch_size
    count = min(config.accumulate, config.batch_size // replica.size)
    pieces = [data.batch(part) for part in np.array_split(windows, max(1, count))]

    def loss_of(piece: tuple[Array, Array]) -> Tensor:
        with in_precision(config.precision):
            return batch_loss(model, *piece)

    counts = [targets.size for _, targets in pieces]
    factor = scaler.factor if scaler else 1.0
    if threads is not None:
        loss = threads.accumulate(lambda *piece: loss_of(piece), pieces, factor, lambda: replica.start_backward(share))
    else:
        loss = accumulate_gradients(loss_of, pieces, counts, factor, lambda: replica.start_backward(share))
    replica.average_gradients(share)
    mean = replica.mean(loss, share)
    if scaler:
        # A shard's infinity is known to one rank only, and all have to leave the step out.
        scaler.finite = replica.everywhere(scaler.unscale_gradients(replica.shards()))
        if not scaler.finite:
            return mean, math.inf
    return mean, replica.clip_gradients(config.clip)
