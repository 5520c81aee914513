"""The training loop: one for one process and for many, for text and for pictures."""

from minigrad.train.accumulation import accumulate_gradients
from minigrad.train.config import StepRecord, TrainConfig, TrainingDivergedError, require_finite
from minigrad.train.freezing import freeze, frozen_names, unfreeze
from minigrad.train.loop import Checkpoints, Run, train, train_steps, validation_loss
from minigrad.train.replica import Replica, SingleProcess
from minigrad.train.step import TrainingData, batch_loss, gradient_step

__all__ = [
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
    "freeze",
    "frozen_names",
    "gradient_step",
    "require_finite",
    "train",
    "train_steps",
    "unfreeze",
    "validation_loss",
]
