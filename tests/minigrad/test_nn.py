"""Modules, layers and models."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)


def small_gpt(dtype=np.float64, **changes):
    shape = {"vocab_size": 11, "block_size": 6, "n_layer": 2, "n_head": 2, "n_embd": 8} | changes
    return nn.GPT(nn.GPTConfig(**shape), rng=np.random.default_rng(1), dtype=dtype)


def test_parameters_are_found_in_order_with_dotted_names():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1, bias=False))
    assert [name for name, _ in model.named_parameters()] == ["layers.0.weight", "layers.0.bias", "layers.2.weight"]


def test_a_tied_parameter_appears_once_but_under_both_names_in_the_state():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert len(list(model.parameters())) == 3
    assert len(model.state_dict()) == 4


def test_gpt_parameter_count_by_the_published_formula():
    V, T, L, C = 96, 128, 4, 128
    count = sum(p.numel() for p in nn.GPT(nn.GPTConfig(V, T, L, 4, C)).parameters())
    assert count == V * C + T * C + L * (12 * C * C + 13 * C) + 2 * C


def test_gpt_starts_near_the_loss_of_a_uniform_guess():
    loss = small_gpt().loss(RNG.integers(0, 11, (8, 6)), RNG.integers(0, 11, (8, 6)))
    assert loss.item() == pytest.approx(math.log(11), abs=0.05)


def test_gpt_gradient_along_a_random_direction():
    """Row `grad`: all parameters at once."""
    model = small_gpt()
    x, y = RNG.integers(0, 11, (2, 3, 6))
    model.loss(x, y).backward()
    direction = [RNG.standard_normal(p.shape) for p in model.parameters()]
    analytic = sum(float((p.grad.data * d).sum()) for p, d in zip(model.parameters(), direction, strict=True))

    def moved(step):
        for p, d in zip(model.parameters(), direction, strict=True):
            p.data += step * d
        return model.loss(x, y).item()

    step = 1e-6
    numeric = (moved(step) - moved(-2 * step)) / (2 * step)
    assert analytic == pytest.approx(numeric, rel=1e-6)


def test_the_output_layer_is_the_token_embedding():
    model = small_gpt()
    model.loss(RNG.integers(0, 11, (2, 6)), RNG.integers(0, 11, (2, 6))).backward()
    both = model.token_embedding.weight.grad.data.copy()
    assert np.all(np.abs(both).sum(1) > 0)  # rows that never were inputs get a gradient through the output
    assert "lm_head.weight" not in model.state_dict()


def test_a_position_sees_no_later_one():
    model = small_gpt()
    tokens = RNG.integers(0, 11, (1, 6))
    before = model(tokens).data.copy()
    tokens[0, 4] = (tokens[0, 4] + 1) % 11
    after = model(tokens).data
    np.testing.assert_array_equal(before[0, :4], after[0, :4])
    assert np.abs(before[0, 4:] - after[0, 4:]).max() > 0


def test_the_gradient_of_the_key_bias_is_zero_up_to_rounding():
    """Why runs with Adam are compared in float64: this one is divided by its own size."""
    model = small_gpt()
    for block in model.blocks:
        block.attention.qkv.bias.data[...] = RNG.standard_normal(24)
    model.loss(RNG.integers(0, 11, (4, 6)), RNG.integers(0, 11, (4, 6))).backward()
    gradient = model.blocks[0].attention.qkv.bias.grad.data
    assert np.abs(gradient[8:16]).max() < 1e-16 < np.abs(gradient[16:]).max()


def test_generation_is_repeatable_and_longer_than_the_block():
    model = small_gpt()
    first, second = (model.generate(np.array([1, 2]), 10, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(first) == 12


def test_dropout_keeps_the_mean_and_is_off_in_eval():
    x = mg.Tensor(np.ones((200, 200)))
    layer = nn.Dropout(0.25, rng=np.random.default_rng(0))
    out = layer(x).data
    assert set(np.unique(out)) == {0.0, 1 / 0.75}
    assert out.mean() == pytest.approx(1.0, abs=0.02)
    assert layer.eval()(x) is x


def test_train_and_eval_reach_every_part():
    model = small_gpt(dropout=0.5)
    model.eval()
    assert not any(module.training for module in model.modules())


def test_load_state_dict_checks_everything_before_it_changes_anything():
    model, other = small_gpt(), small_gpt()
    state = {name: array + 1 for name, array in model.state_dict().items()}
    broken = dict(state)
    broken["norm.bias"] = np.zeros(3)
    before = model.norm.weight.data.copy()
    with pytest.raises(ValueError, match=r"'norm.bias' has shape \(3,\)"):
        model.load_state_dict(broken)
    np.testing.assert_array_equal(model.norm.weight.data, before)
    with pytest.raises(ValueError, match="no entry for"):
        model.load_state_dict({})
    with pytest.raises(ValueError, match="the model has not"):
        model.load_state_dict(state | {"extra": np.zeros(1)})
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.norm.weight.data, state["norm.weight"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Linear(0, 2), "at least one feature"),
        (lambda: nn.Linear(3, 2)(mg.Tensor(np.ones((1, 4)))), "the weight expects 3"),
        (lambda: nn.MLP([3]), "at least an input and an output"),
        (lambda: nn.CausalSelfAttention(8, 3), "divisible by heads=3"),
        (lambda: nn.Dropout(1.0), "p=1.0"),
        (lambda: F.gelu(mg.Tensor([1.0]), "erf"), "'none' or 'tanh'"),
        (lambda: small_gpt()(np.zeros((1, 7), int)), "7 tokens exceeds block_size=6"),
        (lambda: small_gpt()(np.array([[11]])), r"\[0, 11\)"),
        (lambda: F.embedding(np.array([0.5]), mg.Tensor(np.ones((2, 2)))), "must be integers"),
        (lambda: F.cross_entropy(mg.Tensor(np.ones((2, 3))), np.array([0, 3])), r"\[0, 3\)"),
        (lambda: F.cross_entropy(mg.Tensor(np.ones((2, 3))), np.array([0])), r"\(2, 3\) and \(1,\)"),
        (lambda: F.cross_entropy(mg.Tensor(np.ones((0, 3))), np.zeros(0, int)), "no rows"),
        (lambda: F.packed_attention(mg.Tensor(np.ones((1, 2, 8))), 2), "divisible by heads=2"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_modules_print_their_parts():
    assert "0: Linear(2, 3, bias=True)" in repr(nn.Sequential(nn.Linear(2, 3)))
