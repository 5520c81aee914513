"""A stage that computes nothing and takes time: with it the runner tells what a schedule costs."""

from typing import TYPE_CHECKING, Any

import numpy as np

from parallel.cluster import Cluster
from parallel.comm import elapse
from parallel.pipeline.checker import check
from parallel.pipeline.runner import run
from parallel.pipeline.schedule import Schedule
from parallel.pipeline.stage import Array, Sizes, Stage

if TYPE_CHECKING:
    from parallel.comm import Simulation


class CostedStage(Stage):
    """A stage of known costs; its messages have the right size and no meaning.

    Args:
        comm: communicator of the rank that holds the stage, whose clock runs.
        forward: seconds of one F.
        backward_input: seconds of one B.
        backward_weight: seconds of one W; a BW takes the sum of both.
        message_bytes: size of one activation, and of one gradient, between stages.
    """

    def __init__(
        self,
        comm: Any,
        forward: float = 1.0,
        backward_input: float = 1.0,
        backward_weight: float = 1.0,
        message_bytes: int = 0,
    ) -> None:
        self.comm = comm
        self.costs = {"F": forward, "B": backward_input, "W": backward_weight}
        self.message = np.zeros(message_bytes, np.uint8)  # one for all: nobody writes to it

    def forward(self, micro_batch: int, x: Array, targets: Array | None) -> Array:
        """Let the time of one F pass."""
        elapse(self.comm, self.costs["F"])
        return self.message if targets is None else np.zeros(())

    def backward_input(self, micro_batch: int, grad: Array) -> Array:
        """Let the time of one B pass."""
        elapse(self.comm, self.costs["B"])
        return self.message

    def backward_weight(self, micro_batch: int) -> None:
        """Let the time of one W pass."""
        elapse(self.comm, self.costs["W"])

    def backward(self, micro_batch: int, grad: Array) -> Array:
        """Let the time of one BW pass, in one piece."""
        elapse(self.comm, self.costs["B"] + self.costs["W"])
        return self.message

    def sizes(self) -> Sizes:
        """Every message has the same size."""
        return Sizes(self.message.shape, self.message.dtype)


def price(
    schedule: Schedule,
    forward: float = 1.0,
    backward_input: float = 1.0,
    backward_weight: float = 1.0,
    message_bytes: int = 0,
    cluster: Cluster | None = None,
) -> "Simulation":
    """Run a schedule with costed stages in virtual time: what it takes, and a span for all that happened.

    Args:
        schedule: the schedule; it is checked first.
        forward: seconds of one F of one stage.
        backward_input: seconds of one B.
        backward_weight: seconds of one W; a BW takes the sum of both.
        message_bytes: size of one message between stages.
        cluster: links and speeds; by default messages take no time, and every rank has speed 1.

    Returns:
        The simulation: `time` is the makespan in seconds, `spans` draw the timeline.

    Raises:
        ScheduleError: the schedule is wrong.

    >>> from parallel.pipeline import gpipe
    >>> price(gpipe(stages=4, micro_batches=8)).time  # (8 + 4 - 1) * (1 + 2)
    33.0
    """
    from parallel.comm import simulate  # here, so that whoever only trains needs no greenlet

    check(schedule)

    def program(comm: Any) -> None:
        costs = (forward, backward_input, backward_weight, message_bytes)
        stages = [CostedStage(comm, *costs) for _ in schedule.placement[comm.Get_rank()]]
        batch = np.zeros(schedule.micro_batches)
        run(comm, schedule, stages, batch, batch, checked=True)

    free = Cluster(alpha=0.0, beta=0.0)
    return simulate(program, ranks=schedule.ranks, cluster=free if cluster is None else cluster)
