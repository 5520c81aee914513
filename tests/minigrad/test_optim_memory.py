"""Optimizer memory: what is measured is what the literature says, and what the docs print."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.optim import OPTIMIZERS
from minigrad.optim.memory import CLAIMS, markdown, memory_table, state_bytes

DOCS = Path(__file__).parents[2] / "docs" / "optimizers.md"


@pytest.mark.published
@pytest.mark.parametrize("shape", [(256, 256), (1, 1), (3, 5), (100, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_measured_is_as_published(shape, dtype):
    for row in memory_table(*shape, dtype):
        assert row.measured == row.literature, row.optimizer


@pytest.mark.published
def test_the_published_bytes_per_parameter_in_float32():
    measured = {row.optimizer: row.measured for row in memory_table()}
    assert measured["Adam"] == measured["AdamW"] == measured["LAMB"] == 8
    assert measured["SGD, momentum"] == measured["Lion"] == measured["LARS"] == measured["Adagrad"] == 4
    assert measured["SGD"] == 0
    assert measured["Adafactor"] == 4 * (256 + 256) / 256**2


def test_every_optimizer_is_weighed():
    assert {claim.make for claim in CLAIMS} == set(OPTIMIZERS.values())


def test_the_table_in_the_docs_is_the_one_that_is_measured():
    assert markdown(memory_table()) in DOCS.read_text(encoding="utf-8")


def test_state_bytes_of_a_model():
    model = mg.nn.MLP([4, 8, 2], rng=np.random.default_rng(0))
    count = sum(p.data.size for p in model.parameters())
    optimizer = mg.optim.AdamW(model.parameters())
    assert state_bytes(optimizer) == 0
    model(mg.Tensor(np.ones((3, 4), np.float32))).sum().backward()
    optimizer.step()
    assert state_bytes(optimizer) == 8 * count
