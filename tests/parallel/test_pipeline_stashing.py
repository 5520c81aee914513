"""Pipelines that never drain: their replay, their delays, and why old weights must be kept."""

from collections.abc import Sequence
from math import pi, sin
from typing import Any

import numpy as np
import pytest
from programs import pipeline_cases as cases
from programs.quadratic_pipeline import measured_limit

import minigrad as mg
from minigrad import optim
from minigrad.nn import functional as F
from parallel import simulate
from parallel.pipeline import (
    cut_model,
    gpipe,
    kept_versions,
    pipedream,
    run,
    weight_versions,
)
from parallel.pipeline.stashed_stage import StashedStage

K_RANKS_RUN = 1e-10  # row `k-ranks-run` of docs/conventions.md
GRAD = 1e-6  # row `grad`
BOUNDARY = 1e-4  # row `boundary`


@pytest.mark.parametrize("name", cases.ASYNCHRONOUS)
@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_a_run_equals_the_replay_of_its_delays(name: str, stages: int) -> None:
    schedule = cases.ASYNCHRONOUS[name](stages)
    results = simulate(cases.asynchronous_run, ranks=stages, args=(schedule,)).results
    loss, expected = cases.replayed_run(schedule)
    assert results[-1].loss == pytest.approx(loss, abs=K_RANKS_RUN)
    for stage, result in enumerate(results):
        for weight, reference in zip(result.weights, expected[stage], strict=True):
            assert np.abs(weight - reference).max() <= K_RANKS_RUN
        assert result.most_versions == kept_versions(schedule)[stage]


def test_measured_delays() -> None:
    """Stage s of n: n - 1 - s versions; with vertical sync n - 1 on all; with 2BW 1. Less only at the start."""
    for n in (1, 2, 3, 4):
        measured = {
            name: [result.delays for result in simulate(cases.asynchronous_run, ranks=n, args=(make(n),)).results]
            for name, make in cases.ASYNCHRONOUS.items()
        }
        for s in range(n):
            assert measured["pipedream"][s] == [min(t, n - 1 - s) for t in range(cases.UPDATES)]
            assert measured["vertical sync"][s] == [min(t, n - 1) for t in range(cases.UPDATES)]
            assert measured["2bw"][s] == [min(t, 1) for t in range(cases.UPDATES // n)]


def test_without_stashing_it_is_another_run() -> None:
    schedule = pipedream(3, cases.UPDATES, stashing=False)
    results = simulate(cases.asynchronous_run, ranks=3, args=(schedule,)).results
    _, expected = cases.replayed_run(schedule)
    assert np.abs(results[0].weights[0] - expected[0][0]).max() > 1e-5


# ----------------------------------------------------------------------------------- whose gradient it is

LR = 0.5
WATCHED = 7  # the micro-batch whose gradient is looked at


def versions_of_first_weight(stashing: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """A gradient as stage 0 of 3 has used it, and all weights where that micro-batch has read them."""
    inputs, targets = cases.mini_batches()
    schedule = pipedream(3, cases.UPDATES, stashing)
    history: dict[int, list[list[np.ndarray]]] = {stage: [] for stage in range(3)}

    class Recorded(optim.SGD):
        """Notes the weights before each update, and after the last."""

        def __init__(self, number: int, weights: Sequence[mg.nn.Parameter]) -> None:
            super().__init__(weights, lr=LR)
            self.number = number
            self.note()

        def note(self) -> None:
            history[self.number].append([weight.data.copy() for weight in self.params])

        def step(self) -> None:
            super().step()
            self.note()

    def program(comm: Any) -> None:
        number = comm.Get_rank()
        stage = cut_model(cases.deep_mlp(), 3, inputs[0])[number]
        stashed = StashedStage(stage, number, schedule, lambda weights: Recorded(number, weights))
        run(comm, schedule, [stashed], list(inputs), list(targets))

    simulate(program, ranks=3)
    used = (history[0][WATCHED][0] - history[0][WATCHED + 1][0]) / LR
    read = weight_versions(schedule)
    return used, [array for stage in range(3) for array in history[stage][read[stage, WATCHED].forward]]


@pytest.mark.parametrize("stashing", [True, False])
def test_only_with_stashing_a_gradient_is_that_of_a_function(stashing: bool) -> None:
    """Central differences of the loss at the weights that the forwards have read, along a random direction."""
    used, weights = versions_of_first_weight(stashing)
    inputs, targets = cases.mini_batches()
    model = cases.deep_mlp()
    direction = np.random.default_rng(3).standard_normal(used.shape)

    def loss_at(h: float) -> float:
        for parameter, array in zip(model.parameters(), weights, strict=True):
            parameter.data[...] = array
        next(iter(model.parameters())).data[...] += h * direction
        return F.cross_entropy(model(mg.Tensor(inputs[WATCHED])), targets[WATCHED]).item()

    slope = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5
    error = abs(float((used * direction).sum()) - slope) / abs(slope)
    assert (error <= GRAD) if stashing else (error > 1e-3)


# --------------------------------------------------------------------------------------------- stability


@pytest.mark.parametrize("stages", [2, 3, 4])
def test_stability_limit_with_vertical_sync(stages: int) -> None:
    """All weights are n - 1 versions old, so the limit is that of a delay of n - 1: 2 sin(pi / (4 (n - 1) + 2))."""
    limit = 2 * sin(pi / (4 * (stages - 1) + 2))
    assert measured_limit(stages, 0.999 * limit, 1.001 * limit) == pytest.approx(limit, abs=BOUNDARY)


# ---------------------------------------------------------------------------------------------- bad input


def sgd(weights: Sequence[mg.nn.Parameter]) -> optim.SGD:
    return optim.SGD(weights, lr=1.0)


def test_bad_input() -> None:
    """A weight of two stages would be updated by each in its own time; frozen, nobody updates it."""
    stages = cut_model(cases.gpt(), 3, cases.tokens(2)[0])
    for number, name in ((0, "layers.0.token_embedding.weight"), (2, "layers.2.token_embedding.weight")):
        told = f"schedule='pipedream' is asynchronous and cannot train '{name}', a weight that stages {number} and"
        with pytest.raises(ValueError, match=f"^{told} {2 - number} share"):
            StashedStage(stages[number], number, pipedream(3, 4), sgd)
    StashedStage(stages[1], 1, pipedream(3, 4), sgd)
    frozen = cases.gpt()
    frozen.token_embedding.weight.requires_grad = False
    StashedStage(cut_model(frozen, 3, cases.tokens(2)[0])[0], 0, pipedream(3, 4), sgd)
    with pytest.raises(ValueError, match=r"schedule='gpipe' is synchronous"):
        StashedStage(stages[0], 0, gpipe(3, 4), sgd)
