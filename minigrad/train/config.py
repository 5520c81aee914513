"""How to train, what a step was like, and when to give up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigrad import optim
from minigrad.precision import require_precision


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        steps: optimizer steps.
        batch_size: examples in a global batch, over all ranks and micro-batches.
        lr: peak learning rate; warm-up over a tenth of the steps (at most 100), then half a cosine to a tenth.
        weight_decay: AdamW's.
        clip: largest global gradient norm.
        seed: of the shuffling.
        validate_every: steps between two looks at the validation data; 0 for the end only.
        validation_windows: how many examples of it.
        accumulate: micro-batches that each rank cuts its part of a batch into; only one is in memory at a time.
        threads: that share each micro-batch of a rank, each taking some of its examples; see BatchThreads.
        precision: "float32", or what matrix products are rounded to: "float16" (with loss scaling), "bfloat16".
    """

    steps: int = 200
    batch_size: int = 16
    lr: float = 2e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    validate_every: int = 25
    validation_windows: int = 64
    accumulate: int = 1
    threads: int = 1
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validation_windows", "accumulate", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not self.lr > 0.0:
            raise ValueError(f"lr={self.lr} must be positive")
        if self.accumulate > self.batch_size:
            raise ValueError(f"accumulate={self.accumulate} exceeds batch_size={self.batch_size}")
        require_precision(self.precision)

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
        loss: mean over the global batch before the update, nats per target.
        lr: learning rate used.
        grad_norm: global norm before clipping; infinite where float16 overflowed and the update was left out.
        seconds: wall time of the step.
        tokens: targets in the global batch.
        validation_loss: after the update, where it was measured.
        validation_before: before the first update, in the first record.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float
    tokens: int
    validation_loss: float | None = None
    validation_before: float | None = None


class TrainingDivergedError(ArithmeticError):
    """The loss or the gradient is no longer a finite number."""


def require_finite(step: int, lr: float, **numbers: float) -> None:
    """Refuse to go on with a NaN or an infinity.

    Raises:
        TrainingDivergedError: naming the step and the number.
    """
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise TrainingDivergedError(
                f"training diverged at step {step}: {name.replace('_', ' ')} {number}; "
                f"try a smaller peak learning rate (this step's was {lr:.3g})"
            )
