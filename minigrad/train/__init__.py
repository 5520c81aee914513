"""The training loop: one for one process and for many, for text and for pictures."""

from minigrad.train.accumulation import accumulate_gradients
from minigrad.train.config import StepRecord, TrainConfig, TrainingDivergedError, require_finite
from minigrad.train.freezing import freeze, frozen_names, unfreeze
from minigrad.train.loop import Checkpoints, Run, train, train_steps, validation_loss
from minigrad.train.replica import Replica, SingleProcess
from minigrad.train.step import TrainingData, batch_loss, gradient_step
from minigrad.train.threads import BatchThreads, can_share_batch

__all__ = [
    "BatchThreads",
    "Checkpoints",
    "Replica",
    "Run",
    "SingleProcess",
    "StepRecord",
    "TrainConfig",
    "TrainingData",
    "TrainingDivergedError",
    "accumulate_gradients",
    "batch_loss",
    "can_share_batch",
    "freeze",
    "frozen_names",
    "gradient_step",
    "require_finite",
    "train",
    "train_steps",
    "unfreeze",
    "validation_loss",
]
