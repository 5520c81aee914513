"""Where to cut: the best partition there is, by trying all of them."""

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import pipeline_cases as cases

import minigrad as mg
from parallel.pipeline import cut_model
from parallel.pipeline.partition import equal_numbers, measured_costs, parameter_costs, partition, stage_costs


@given(costs=st.lists(st.integers(0, 20), min_size=1, max_size=9), data=st.data())
def test_no_partition_is_better(costs: list[int], data: st.DataObject) -> None:
    stages = data.draw(st.integers(1, len(costs)))
    bounds = partition(costs, stages)
    assert bounds[0] == 0
    assert bounds[-1] == len(costs)
    assert all(first < end for first, end in pairwise(bounds))

    def judge(bounds: list[int]) -> tuple[int, int]:
        each = stage_costs(costs, bounds)
        return max(each), sum(cost**2 for cost in each)

    everything = [[0, *inner, len(costs)] for inner in combinations(range(1, len(costs)), stages - 1)]
    assert judge(bounds) == min(judge(other) for other in everything)


@given(layers=st.integers(1, 40), data=st.data())
def test_equal_layers(layers: int, data: st.DataObject) -> None:
    stages = data.draw(st.integers(1, layers))
    lengths = [end - first for first, end in pairwise(equal_numbers(layers, stages))]
    assert len(lengths) == stages
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) == max(stage_costs([1] * layers, partition([1] * layers, stages)))


def numbers_of_layers(stages: list[Any]) -> list[int]:
    return [len(stage.module) for stage in stages]


def test_cut_by_parameters_and_by_given_costs() -> None:
    model = mg.nn.MLP([2, 3, 3, 3, 100])
    x = np.zeros((2, 2), np.float32)
    assert numbers_of_layers(cut_model(model, 2, x)) == [3, 4]
    assert numbers_of_layers(cut_model(model, 2, x, by="parameters")) == [5, 2]
    assert numbers_of_layers(cut_model(model, 2, x, by=[9, 1, 1, 1, 1, 1, 1])) == [1, 6]
    gpt = cases.gpt(layers=2)
    costs = parameter_costs([stage.module for stage in cut_model(gpt, 4, cases.tokens(2)[0])])  # a layer each
    table, block = 7 * 4, 12 * 16 + 13 * 4
    assert costs == [table + 5 * 4, block, block, table + 2 * 4]  # embeddings; the head has the table again


def test_measured_costs_tell_a_dear_layer_and_leave_no_trace() -> None:
    rng = np.random.default_rng(0)
    layers = [mg.nn.Linear(4, 400, rng=rng), mg.nn.Linear(400, 400, rng=rng), mg.nn.Linear(400, 4, rng=rng)]
    seconds = measured_costs(layers, np.zeros((200, 4), np.float32), repeats=9)
    assert seconds[1] == max(seconds)
    assert all(weight.grad is None for layer in layers for weight in layer.parameters())
    stages = cut_model(mg.nn.Sequential(*layers), 3, np.zeros((2, 4), np.float32), by="measured")
    assert numbers_of_layers(stages) == [1, 1, 1]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="stages=3 must be at least 1 and at most the 2 layers"):
        partition([1, 1], 3)
    with pytest.raises(ValueError, match=r"costs=\[1, -1\] must be finite and at least 0"):
        partition([1, -1], 1)
    with pytest.raises(ValueError, match=r"by has 2 costs, must have one for each of the 8 layers"):
        cut_model(cases.gpt(), 2, cases.tokens(2)[0], by=[1, 1])
    with pytest.raises(ValueError, match="by='size' must be one of layers, parameters, measured"):
        cut_model(cases.gpt(), 2, cases.tokens(2)[0], by="size")
    with pytest.raises(ValueError, match="stages=9 must be at least 1 and at most the 8 layers"):
        cut_model(cases.gpt(), 9, cases.tokens(2)[0])
    with pytest.raises(TypeError, match="model is a GELU, must be a Sequential or a GPT"):
        cut_model(mg.nn.GELU(), 1, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="repeats=0 must be at least 1"):
        measured_costs([mg.nn.GELU()], np.zeros((2, 2)), repeats=0)
