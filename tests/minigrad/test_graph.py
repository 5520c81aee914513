"""Memory kept by graphs, and their pictures."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.graph import SavedActivations, graph_svg, graph_text, saved_bytes

MB = 10**6


def test_addition_keeps_nothing_and_multiplication_its_operands():
    x = mg.Tensor(np.zeros(1000), requires_grad=True)
    y = x + 1.0
    assert saved_bytes((y + y).sum()) == {}
    z = y * (x + 2.0)
    assert saved_bytes(z.sum()) == {"Mul": 16_000}


def test_views_of_one_block_are_counted_once():
    x = mg.Tensor(np.zeros(1000), requires_grad=True) + 0.0
    y = x.reshape(10, 100)
    assert saved_bytes((y * y[:, ::-1]).sum() + (x * x).sum()) == {"Mul": 8000}


def test_parameters_count_only_when_asked():
    w = mg.Tensor(np.zeros((100, 100)), requires_grad=True)
    loss = (mg.Tensor(np.zeros((1, 100))) @ w).sum()
    assert saved_bytes(loss) == {"MatMul": 800}
    assert saved_bytes(loss, parameters=True) == {"MatMul": 80_800}


def test_the_peak_of_a_chain_and_its_fall_to_nothing():
    x = mg.Tensor(np.zeros(1000), requires_grad=True)
    with SavedActivations() as saved:
        y = x
        for _ in range(5):
            y = y.tanh()
        y.sum().backward()
    assert saved.peak == 5 * 8000
    assert saved.current == 0
    assert [name for name, _ in saved.history][:6] == ["Tanh"] * 5 + ["Sum"]


def test_saved_activations_of_a_gpt_agree_with_the_graph():
    model = nn.GPT(nn.GPTConfig(7, 8, n_layer=2, n_head=2, n_embd=8), rng=np.random.default_rng(0))
    tokens = np.zeros((2, 8), int)
    with SavedActivations() as saved:
        loss = model.loss(tokens, tokens)
    assert saved.current == pytest.approx(sum(saved_bytes(loss).values()), rel=0.05)


def test_the_drawing_is_an_svg_with_every_node_and_arrow():
    x, w = (mg.Tensor(np.ones((2, 2)), requires_grad=True) for _ in range(2))
    loss = ((x @ w).tanh() * x).sum()
    root = ElementTree.fromstring(graph_svg(loss, {"x": x, "w": w}))
    space = "{http://www.w3.org/2000/svg}"
    labels = [text.text for text in root.iter(f"{space}text")]
    assert sorted(labels) == ["MatMul", "Mul", "Sum", "Tanh", "w (2, 2)", "x (2, 2)"]
    assert sum(path.get("class") == "arrow" for path in root.iter(f"{space}path")) == 6


def test_a_graph_that_is_too_large_to_draw():
    x = mg.Tensor(1.0, requires_grad=True)
    for _ in range(20):
        x = x + 1
    with pytest.raises(ValueError, match="21 nodes, more than limit=10"):
        graph_svg(x, limit=10)


def test_text_of_a_deep_graph_needs_no_recursion():
    x = mg.Tensor(1.0, requires_grad=True)
    for _ in range(5000):
        x = x + 1
    assert len(graph_text(x).splitlines()) == 5001
