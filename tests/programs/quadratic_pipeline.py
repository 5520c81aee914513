"""A quadratic spread over the stages of PipeDream: up to which step does it stay stable?"""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import optim
from parallel import simulate
from parallel.pipeline import ModuleStage, Schedule, Sizes, pipedream, run
from parallel.pipeline.stashed_stage import StashedStage


class Quadratic(mg.nn.Module):
    """x + w^2 / 2: stages of these in a row have the loss sum of w^2 / 2, and the gradient of each w is w."""

    def __init__(self) -> None:
        self.w = mg.nn.Parameter(np.ones(1))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(1,) to (1,)."""
        return x + self.w * self.w * 0.5


def growth(schedule: Schedule, lr: float) -> float:
    """Logarithm of the factor by which the weight of stage 0 grows in an update, from a run of the pipeline."""
    last = schedule.stages - 1
    weights: list[float] = []

    class Recorded(optim.SGD):
        """Notes the weight after each update."""

        def step(self) -> None:
            super().step()
            weights.append(float(self.params[0].data[0]))

    def program(comm: Any) -> None:
        number = comm.Get_rank()
        loss = (lambda x, targets: x.sum()) if number == last else None
        stage = ModuleStage(Quadratic(), Sizes((1,), np.dtype(float)), loss, is_first=number == 0)
        kind = Recorded if number == 0 else optim.SGD
        zeros = [np.zeros(1)] * schedule.micro_batches
        run(comm, schedule, [StashedStage(stage, number, schedule, lambda w: kind(w, lr=lr))], zeros, zeros)

    simulate(program, ranks=schedule.ranks, trace=False)
    # At the limit the weight is an oscillation of this angle; this square of its amplitude does not oscillate.
    w, angle = np.array(weights)[len(weights) // 3 :], pi / (2 * last + 1)
    envelope = w[1:] ** 2 - 2 * np.cos(angle) * w[1:] * w[:-1] + w[:-1] ** 2
    return float(np.polyfit(np.arange(len(envelope)), np.log(envelope), 1)[0] / 2)


def measured_limit(stages: int, low: float, high: float) -> float:
    """The step at which a weight neither grows nor shrinks with vertical sync, between `low` and `high`."""
    schedule = pipedream(stages, 300, vertical_sync=True)
    shrinks, grows = growth(schedule, low), growth(schedule, high)
    assert shrinks < 0 < grows
    return low + (high - low) * shrinks / (shrinks - grows)
