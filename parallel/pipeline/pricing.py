"""What a schedule costs on a cluster: time, bubble, idle ranks, memory. It is run, with stages that only take time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.trace import Span
from parallel.cluster import Cluster
from parallel.pipeline.checker import check
from parallel.pipeline.costed_stage import Level, costed_stages
from parallel.pipeline.runner import run
from parallel.pipeline.schedule import Schedule
from parallel.pipeline.timing import Cost, each_stage
from parallel.pipeline.versions import kept_versions

if TYPE_CHECKING:
    from parallel.comm import Simulation

Curve = list[tuple[float, float]]
"""(seconds, what is kept from then on), in the order of time."""


@dataclass(frozen=True)
class Priced:
    """What a schedule costs.

    Args:
        makespan: virtual seconds from the start to the end of the last rank.
        busy: seconds for which each rank computes.
        in_flight: for each rank, the micro-batches (of a chunk each) that it keeps over time.
        memory: the same in bytes, with the weights.
        spans: what happened, for the pictures.
    """

    makespan: float
    busy: tuple[float, ...]
    in_flight: tuple[Curve, ...] = field(repr=False)
    memory: tuple[Curve, ...] = field(repr=False)
    spans: list[Span] = field(repr=False)

    @property
    def time(self) -> float:
        """The makespan, under the name that a simulation has for it."""
        return self.makespan

    @property
    def idle(self) -> tuple[float, ...]:
        """Seconds for which each rank does not compute: it waits, or for its messages, or for the others to end."""
        return tuple(self.makespan - busy for busy in self.busy)

    @property
    def bubble_of_total(self) -> float:
        """The part of all ranks' time in which they do not compute."""
        total = self.makespan * len(self.busy)
        return sum(self.idle) / total if total else 0.0

    @property
    def bubble_of_ideal(self) -> float:
        """The idle time over the time of the work: how much longer it takes than on ranks that never wait."""
        work = sum(self.busy)
        return sum(self.idle) / work if work else 0.0

    @property
    def peak_in_flight(self) -> tuple[int, ...]:
        """The most micro-batches (of a chunk each) that each rank keeps at one time."""
        return tuple(int(max((level for _, level in curve), default=0)) for curve in self.in_flight)

    @property
    def peak_memory(self) -> tuple[float, ...]:
        """The most bytes that each rank needs at one time."""
        return tuple(max((level for _, level in curve), default=0.0) for curve in self.memory)


def price(
    schedule: Schedule,
    forward: Cost = 1.0,
    backward_input: Cost = 1.0,
    backward_weight: Cost = 1.0,
    message_bytes: int = 0,
    cluster: Cluster | None = None,
    *,
    activation_bytes: Cost = 0.0,
    weight_bytes: Cost = 0.0,
    overlap_is_free: bool = False,
) -> Priced:
    """Run a schedule with costed stages in virtual time: what it takes and what it keeps.

    Every cost is a number for all stages, or a sequence with one for each of `schedule.stages`. Note that a schedule
    with v chunks a rank has v times as many stages, each of a v-th of the work.

    Args:
        schedule: the schedule; it is checked first.
        forward: seconds of one F of one stage, on a rank of speed 1.
        backward_input: seconds of one B.
        backward_weight: seconds of one W; a BW takes the sum of both.
        message_bytes: size of one message between stages.
        cluster: links and speeds; by default messages take no time, and every rank has speed 1.
        activation_bytes: what a stage keeps of a micro-batch from the start of its F to the end of its W.
        weight_bytes: of a stage's weights, with their gradients and optimizer state; they count once for every version
            that the schedule keeps.
        overlap_is_free: whether two overlapped actions take as long as the longer one, not as both.

    Raises:
        ScheduleError: the schedule is wrong.
        ValueError: a cost is negative or not finite, or there is not one for each stage; ranks of the cluster fail.

    Cost: some 20 microseconds an action; 64 stages and 512 micro-batches in a few seconds.

    >>> from parallel.pipeline import gpipe
    >>> priced = price(gpipe(stages=4, micro_batches=8))  # (8 + 4 - 1) * (1 + 2)
    >>> priced.makespan, priced.bubble_of_total, priced.bubble_of_ideal, priced.idle
    (33.0, 0.2727272727272727, 0.375, (9.0, 9.0, 9.0, 9.0))
    """
    from parallel.comm import simulate  # here, so that whoever only trains needs no greenlet

    check(schedule)
    if message_bytes < 0:
        raise ValueError(f"message_bytes={message_bytes} must be at least 0")
    if cluster is not None and cluster.failures:
        raise ValueError(f"cluster: rank {min(cluster.failures)} fails, must have no failures: no batch would end")
    stage_costs = {
        "F": each_stage("forward", forward, schedule.stages),
        "B": each_stage("backward_input", backward_input, schedule.stages),
        "W": each_stage("backward_weight", backward_weight, schedule.stages),
        "memory": each_stage("activation_bytes", activation_bytes, schedule.stages),
    }
    weights = each_stage("weight_bytes", weight_bytes, schedule.stages)

    def program(comm: Any) -> list[list[Level]]:
        stages = costed_stages(comm, schedule, stage_costs, message_bytes, overlap_is_free)
        batch = np.zeros(schedule.micro_batches)
        run(comm, schedule, stages, batch, batch, checked=True)
        return [stage.levels for stage in stages]

    free = Cluster(alpha=0.0, beta=0.0)
    simulation = simulate(program, ranks=schedule.ranks, cluster=free if cluster is None else cluster)
    return _priced(schedule, simulation, weights)


def _priced(schedule: Schedule, simulation: "Simulation", weights: Sequence[float]) -> Priced:
    busy = [0.0] * schedule.ranks
    spans = simulation.spans
    for span in spans:
        if span.kind == "compute":
            busy[span.rank] += span.duration
    in_flight, memory = [], []
    versions = kept_versions(schedule)
    for rank, stages in enumerate(simulation.results):
        own = sum(weights[stage] for stage in schedule.placement[rank]) * versions[rank]
        levels = sorted((level for levels in stages for level in levels), key=lambda level: level.time)
        in_flight.append(_curve([(level.time, level.micro_batches) for level in levels], 0))
        memory.append(_curve([(level.time, level.nbytes) for level in levels], own))
        spans += [
            Span(rank, 0, "memory", start, end, "memory", round(level))
            for (start, level), (end, _) in zip(memory[-1], [*memory[-1][1:], (simulation.time, 0.0)], strict=True)
            if level and end > start
        ]
    return Priced(simulation.time, tuple(busy), tuple(in_flight), tuple(memory), spans)


def _curve(changes: Sequence[tuple[float, float]], level: float) -> Curve:
    """Add up changes in the order of time; those of one moment become one, since a rank does one thing at a time."""
    curve: Curve = [(0.0, level)]
    for time, change in changes:
        level += change
        if curve[-1][0] == time:
            curve.pop()
        if not curve or curve[-1][1] != level:
            curve.append((time, level))
    return curve
