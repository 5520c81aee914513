"""The loop around the step, and how it is stopped and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import optim
from minigrad.autograd import no_grad
from minigrad.checkpoint import Stateful, read_state, restore, training_state, write_state
from minigrad.data import DistributedSampler, batches_from
from minigrad.precision import GradScaler
from minigrad.randomness import generators_of, states_of
from minigrad.train.config import StepRecord, TrainConfig, TrainingDivergedError, require_finite
from minigrad.train.replica import Replica
from minigrad.train.step import TrainingData, batch_loss, gradient_step, in_precision
from minigrad.train.threads import BatchThreads

# Settings that a resumed run may have otherwise.
MAY_CHANGE = {"steps", "validate_every", "validation_windows", "threads"}


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run is saved.

    Attributes:
        folder: of the run's checkpoints.
        every: steps between two; 0 for none. The last step is saved as well.
        resume: go on from the newest one there.
        settings: saved with it, for whoever reads the checkpoint.
    """

    folder: Path
    every: int = 0
    resume: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.every < 0:
            raise ValueError(f"every={self.every} must not be negative")

    def due(self, step: int, steps: int) -> bool:
        """Whether to save after this step of so many."""
        return self.every > 0 and (step % self.every == 0 or step == steps)


class Run:
    """A training run at some step: the model, and all that its next step depends on.

    AdamW, warm-up and cosine, clipping by global norm; loss scaling in float16.

    Args:
        replica: the model and its place among the copies.
        data: examples.
        config: how.

    Raises:
        ValueError: more ranks than examples in a batch, or several threads for a model with batch normalisation.
    """

    def __init__(self, replica: Replica, data: TrainingData, config: TrainConfig) -> None:
        self.replica, self.data, self.config = replica, data, config
        model = replica.model
        self.optimizer = replica.make_optimizer(optim.AdamW, lr=config.lr, weight_decay=config.weight_decay)
        self.threads = BatchThreads(model, config.threads) if config.threads > 1 else None
        self.scaler = GradScaler() if config.precision == "float16" else None
        self.sampler = DistributedSampler(len(data), config.batch_size, replica.rank, replica.size, seed=config.seed)
        self.random_states = states_of(generators_of(model))
        self.records: list[StepRecord] = []

    @property
    def done(self) -> int:
        """Finished steps."""
        return len(self.records)

    def steps(self) -> Iterator[StepRecord]:
        """One step each time it is asked, up to the last."""
        for windows in batches_from(self.sampler, self.done):
            if self.done >= self.config.steps:
                return
            yield self.step(windows)

    def step(self, windows: np.ndarray) -> StepRecord:
        """Train on this rank's examples of one global batch."""
        config, number = self.config, self.done + 1
        self.optimizer.lr = lr = config.learning_rate(self.done)
        with np.errstate(all="ignore"):  # an overflow is reported below, once, with the step
            before = self.look() if number == 1 and config.validate_every > 0 else None
            start = self.replica.now()
            loss, norm = gradient_step(self.replica, self.data, windows, config, self.scaler, self.threads)
            require_finite(number, lr, loss=loss)
            self.update(number, norm)
            seconds = self.replica.now() - start
            due = config.validate_every > 0 and number % config.validate_every == 0
            validation = None
            if due or number == config.steps:
                validation = self.look()
                require_finite(number, lr, validation_loss=validation)
        targets = self.data.batch(windows[:1])[1].size
        self.records.append(
            StepRecord(number, loss, lr, norm, seconds, config.batch_size * targets, validation, before)
        )
        return self.records[-1]

    def look(self) -> float:
        """The validation loss now."""
        return validation_loss(self.replica, self.data, self.config.validation_windows, self.config.precision)

    def update(self, number: int, norm: float) -> None:
        """Let the optimizer step; with a scaler, unless the gradients overflowed."""
        if self.scaler is None:
            require_finite(number, self.optimizer.lr, gradient_norm=norm)
            self.optimizer.step()
            return
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.factor < 1.0:
            raise TrainingDivergedError(
                f"training diverged at step {number}: gradients overflow float16 even without loss scaling; "
                f"try a smaller peak learning rate (this step's was {self.optimizer.lr:.3g})"
            )

    # ---------------------------------------------------------------------------------- stopping and going on

    def parts(self) -> dict[str, Stateful]:
        """What has a state besides the model."""
        return {"optimizer": self.optimizer, **({"scaler": self.scaler} if self.scaler else {})}

    def save(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Write a checkpoint: all ranks bring the state together, one writes. Any number of ranks can go on with it.

        Raises:
            ValueError: several ranks whose models draw random numbers, each its own: rank 0 knows only its.
        """
        if self.replica.size > 1 and states_of(generators_of(self.replica.model)) != self.random_states:
            raise ValueError(f"a model with dropout cannot be saved while it trains on {self.replica.size} ranks")
        progress = {
            "config": asdict(self.config),
            "examples": len(self.data),
            "records": [asdict(record) for record in self.records],
            "settings": dict(settings),
        }
        with self.replica.whole() as model:
            state = training_state(model, self.parts(), progress)
            if self.replica.reports:
                write_state(folder, self.done, state)

    def restore(self, folder: Path) -> None:
        """Go to where the newest checkpoint in `folder` is.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged, or of a run that this one cannot go on with. Nothing is changed then.
        """
        state = read_state(folder)
        check_same_run(state["progress"], self.config, len(self.data))
        with self.replica.whole() as model:
            progress = restore(state, model, self.parts())
        self.records = [StepRecord(**record) for record in progress["records"]]
        self.random_states = states_of(generators_of(self.replica.model))


def check_same_run(progress: Mapping[str, Any], config: TrainConfig, examples: int) -> None:
    """Refuse to go on with other data or settings than the run began with: it would be neither run.

    Raises:
        ValueError: what differs.
    """
    if progress["examples"] != examples:
        raise ValueError(f"the checkpoint was trained on {progress['examples']} examples, now there are {examples}")
    for name, value in asdict(config).items():
        if name not in MAY_CHANGE and progress["config"].get(name) != value:
            raise ValueError(f"{name}={value} differs from the checkpoint's, {progress['config'].get(name)}")
    if len(progress["records"]) > config.steps:
        raise ValueError(f"the checkpoint has {len(progress['records'])} steps behind it, steps={config.steps}")


def train(
    replica: Replica,
    data: TrainingData,
    config: TrainConfig,
    on_step: Callable[[StepRecord], None] | None = None,
    *,
    checkpoints: Checkpoints | None = None,
) -> list[StepRecord]:
    """Train a model with AdamW, warm-up and cosine, and clipping by global norm.

    Args:
        replica: the model and its place among the copies.
        data: text windows, labelled pictures.
        config: how.
        on_step: called after every step, on every rank.
        checkpoints: where to save the run, and whether to go on with a saved one.

    Returns:
        A record per step, the same on all ranks but for the times; those before a resumption included.

    Raises:
        TrainingDivergedError: a loss or gradient that is NaN or infinite; the parameters are those of the last
            good step.
        ValueError: more ranks than examples in a batch, or a checkpoint that does not fit.
        OSError: a checkpoint cannot be written or read.
    """
    run = Run(replica, data, config)
    if checkpoints and checkpoints.resume:
        run.restore(checkpoints.folder)
    for record in run.steps():
        if on_step:
            on_step(record)
        if checkpoints and checkpoints.due(record.step, config.steps):
            run.save(checkpoints.folder, checkpoints.settings)
    return run.records


def train_steps(replica: Replica, data: TrainingData, config: TrainConfig) -> Iterator[StepRecord]:
    """The same as an iterator that does one step each time it is asked."""
    return Run(replica, data, config).steps()


def validation_loss(replica: Replica, data: TrainingData, windows: int, precision: str = "float32") -> float:
    """Mean loss over examples of the validation data, shared among the ranks; nats per target."""
    inputs, targets = data.validation_batch(windows)
    total = len(inputs)
    inputs, targets = inputs[replica.rank :: replica.size], targets[replica.rank :: replica.size]
    summed = 0.0
    with replica.whole() as model, model.evaluating(), no_grad(), in_precision(precision):
        for start in range(0, len(inputs), 8):  # small pieces: the logits of all windows would be large
            piece = slice(start, start + 8)
            summed += batch_loss(model, inputs[piece], targets[piece]).item() * len(inputs[piece])
    return replica.mean(summed / max(1, len(inputs)), len(inputs) / total)
