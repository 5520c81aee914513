"""A stage that computes nothing and takes time: with it the runner tells what a schedule costs (see pricing.py)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from parallel.comm import elapse
from parallel.comm.ghost import Ghost
from parallel.pipeline.schedule import Overlapped, Schedule
from parallel.pipeline.stage import Array, Sizes, Stage


class Level(NamedTuple):
    """A change in what a rank keeps.

    Args:
        time: virtual seconds at which it happens.
        micro_batches: +1 when the forward of one begins, -1 when its last action has ended.
        nbytes: the same in bytes of activations.
    """

    time: float
    micro_batches: int
    nbytes: float


class CostedStage(Stage):
    """A stage of known costs; its messages have the right size and hold nothing.

    Args:
        comm: communicator of the rank that holds the stage, whose clock runs.
        forward: seconds of one F.
        backward_input: seconds of one B.
        backward_weight: seconds of one W; a BW takes the sum of both.
        message_bytes: size of one activation, and of one gradient, between stages.
        activation_bytes: what is kept of a micro-batch from the start of its F to the end of its W.
        hidden: seconds to take off an action (its kind and micro-batch), as it overlaps with another one.

    Attributes:
        levels: what the stage began and ceased to keep, in the order of time.
    """

    def __init__(
        self,
        comm: Any,
        forward: float = 1.0,
        backward_input: float = 1.0,
        backward_weight: float = 1.0,
        message_bytes: int = 0,
        activation_bytes: float = 0.0,
        hidden: Mapping[tuple[str, int], float] | None = None,
    ) -> None:
        self.comm = comm
        self.costs = {"F": forward, "B": backward_input, "W": backward_weight, "BW": backward_input + backward_weight}
        self.message: Any = Ghost(message_bytes, np.uint8)  # one for all: nobody writes to it
        self.activation_bytes = activation_bytes
        self.hidden = {} if hidden is None else hidden
        self.levels: list[Level] = []

    def forward(self, micro_batch: int, x: Array, targets: Array | None) -> Array:
        """Let the time of one F pass."""
        self.levels.append(Level(self.comm.clock(), 1, self.activation_bytes))
        self._pass("F", micro_batch)
        return self.message if targets is None else np.zeros(())

    def backward_input(self, micro_batch: int, grad: Array) -> Array:
        """Let the time of one B pass."""
        self._pass("B", micro_batch)
        return self.message

    def backward_weight(self, micro_batch: int) -> None:
        """Let the time of one W pass; the micro-batch is kept no longer."""
        self._pass("W", micro_batch)
        self.levels.append(Level(self.comm.clock(), -1, -self.activation_bytes))

    def backward(self, micro_batch: int, grad: Array) -> Array:
        """Let the time of one BW pass, in one piece; the micro-batch is kept no longer."""
        self._pass("BW", micro_batch)
        self.levels.append(Level(self.comm.clock(), -1, -self.activation_bytes))
        return self.message

    def sizes(self) -> Sizes:
        """Every message has the same size."""
        return Sizes(self.message.shape, self.message.dtype)

    def buffer(self) -> Array:
        """Return what receives without taking memory."""
        return self.message

    def _pass(self, kind: str, micro_batch: int) -> None:
        elapse(self.comm, self.seconds(kind, micro_batch))

    def seconds(self, kind: str, micro_batch: int) -> float:
        """What an action takes, without what is hidden behind the one that it overlaps with."""
        return self.costs[kind] - self.hidden.get((kind, micro_batch), 0.0)


def costed_stages(
    comm: Any,
    schedule: Schedule,
    costs: Mapping[str, Sequence[float]],
    message_bytes: int,
    overlap_is_free: bool,
    kind: type[CostedStage] = CostedStage,
) -> list[CostedStage]:
    """Make the stages that a schedule places on this rank.

    Args:
        comm: communicator of the schedule's ranks.
        schedule: the schedule.
        costs: of each stage of the schedule: seconds of "F", "B" and "W", and "memory", the bytes that it keeps.
        message_bytes: size of one message between stages.
        overlap_is_free: whether two overlapped actions take as long as the longer one, not as both.
        kind: of the stages.
    """
    rank = comm.Get_rank()
    hidden = _hidden_seconds(schedule, rank, costs) if overlap_is_free else {}
    stages = []
    for chunk, stage in enumerate(schedule.placement[rank]):
        f, b, w, kept = (costs[cost][stage] for cost in ("F", "B", "W", "memory"))
        stages.append(kind(comm, f, b, w, message_bytes, kept, hidden.get(chunk)))
    return stages


def _hidden_seconds(
    schedule: Schedule, rank: int, costs: Mapping[str, Sequence[float]]
) -> dict[int, dict[tuple[str, int], float]]:
    """Seconds that the second actions of this rank's pairs do not take: the shorter of both, for each chunk."""
    hidden: dict[int, dict[tuple[str, int], float]] = {}
    for step in schedule.steps[rank]:
        if isinstance(step, Overlapped):
            both = [sum(costs[kind][schedule.stage_of(rank, a)] for kind in a.kind) for a in step.actions]
            second = step.second
            hidden.setdefault(second.chunk, {})[second.kind, second.micro_batch] = min(both)
    return hidden
