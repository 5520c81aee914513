"""What the models promise: how they start, where they drop out, which gelu they use, how they generate."""

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

SHAPE = {"vocab_size": 11, "block_size": 8, "n_layer": 8, "n_head": 2, "n_embd": 64}


def gpt(**changes):
    return nn.GPT(nn.GPTConfig(**(SHAPE | changes)), rng=np.random.default_rng(0), dtype=np.float64)


# --------------------------------------------------------------------------------------------- initial values


@pytest.mark.parametrize("n_layer", [1, 8])
def test_what_writes_to_the_residual_stream_starts_smaller_by_sqrt_2_n_layer(n_layer):
    """Of 4,096 numbers the deviation is known to 1.1 %; 6 % are allowed, and a factor of 1.4 at least is claimed."""
    for name, parameter in gpt(n_layer=n_layer).named_parameters():
        if "norm" in name or name.endswith("bias") or parameter.numel() < 4096:
            continue
        writes = name.endswith(("attention.projection.weight", "contract.weight"))
        expected = 0.02 / math.sqrt(2 * n_layer) if writes else 0.02
        assert parameter.data.std() == pytest.approx(expected, rel=0.06), name
        assert abs(parameter.data.mean()) < 0.1 * expected, name


def test_gpt_starts_with_biases_0_and_norms_1():
    """Exactly."""
    model = gpt(n_layer=2)
    biases = [(name, p.data) for name, p in model.named_parameters() if name.endswith("bias")]
    assert len(biases) == 2 * 6 + 1
    for name, bias in biases:
        assert not bias.any(), name
    for name, parameter in model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            assert np.all(parameter.data == 1.0), name


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 400), (100, 20), (1, 900)])
def test_linear_starts_uniform_within_one_over_the_root_of_its_inputs(inputs, outputs):
    """Of 400 uniform numbers or more the largest is within 5 % of the bound but for one case in 10^8."""
    layer, bound = nn.Linear(inputs, outputs, rng=np.random.default_rng(0)), 1.0 / math.sqrt(inputs)
    assert 0.95 * bound < np.abs(layer.weight.data).max() <= np.float32(bound)
    assert layer.weight.data.std() == pytest.approx(bound / math.sqrt(3.0), rel=0.1)
    bias = nn.Linear(inputs, 2000, rng=np.random.default_rng(1)).bias.data
    assert 0.95 * bound < np.abs(bias).max() <= np.float32(bound)


# ---------------------------------------------------------------------------------------------------- dropout


def silence(model, *branches):
    """Make the branches of every block write zeros."""
    for block in model.blocks:
        for layer in branches:
            weight = block.attention.projection.weight if layer == "attention" else block.contract.weight
            weight.data[...] = 0.0


@pytest.mark.parametrize("place", ["embedding", "attention", "mlp"])
def test_gpt_drops_out_behind_the_embeddings_and_on_both_branches(place):
    """Row `bits`. Only one place is left where dropout can act, so two passes in training differ by it alone."""
    model = gpt(n_layer=2, dropout=0.3)
    tokens = np.random.default_rng(1).integers(0, 11, (4, 8))
    silence(model, *({"attention", "mlp"} - {place}))
    if place != "embedding":
        model.dropout.p = 0.0
    assert np.abs(model(tokens).data - model(tokens).data).max() > 1e-3
    model.eval()
    with threadpool_limits(limits=1):
        np.testing.assert_array_equal(model(tokens).data, model(tokens).data)


@pytest.mark.parametrize("branch", ["attention", "mlp"])
def test_a_block_drops_out_a_share_p_of_what_a_branch_writes(branch):
    """Of 4,096 numbers the share is known to 0.7 %; 4 % are allowed."""
    model = gpt(n_layer=1, dropout=0.3)
    silence(model, *({"attention", "mlp"} - {branch}))
    (block,) = model.blocks
    x = mg.Tensor(np.random.default_rng(1).standard_normal((8, 8, 64)))
    written = block(x).data - x.data
    whole = block.eval()(x).data - x.data
    dropped = written == 0.0
    assert dropped.mean() == pytest.approx(0.3, abs=0.04)
    np.testing.assert_allclose(written[~dropped], whole[~dropped] / 0.7, atol=1e-12)  # row `same-math`


def test_behind_the_embeddings_a_share_p_is_dropped_too():
    """Of 4,096 numbers; the model without blocks shows its embeddings."""
    model = gpt(n_layer=1, dropout=0.3)
    model.blocks, seen = [], []
    model.norm = lambda x: seen.append(x.data) or x
    model(np.random.default_rng(1).integers(0, 11, (8, 8)))
    assert (seen[0] == 0.0).mean() == pytest.approx(0.3, abs=0.04)


# ------------------------------------------------------------------------------------------------------- gelu


def tanh_form(x):
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def exact_form(x):
    return x * np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in x.flat]).reshape(x.shape)


def test_a_gpt_block_uses_the_tanh_form():
    """Row `same-math`; the two forms differ by up to 4.7e-4, so the wrong one would show."""
    model = gpt(n_layer=1)
    (block,) = model.blocks
    block.expand.bias.data[...] = np.random.default_rng(1).standard_normal(256) * 2.0
    block.contract.weight.data[...] = np.random.default_rng(2).standard_normal((64, 256))
    silence(model, "attention")
    x = mg.Tensor(np.random.default_rng(3).standard_normal((2, 3, 64)))
    hidden = block.expand(block.norm_2(x)).data
    found, scale = block(x).data - x.data, np.abs(block(x).data).max()
    for form, nearer in ((tanh_form, True), (exact_form, False)):
        distance = np.abs(found - form(hidden) @ block.contract.weight.data.T).max()
        assert (distance < 1e-12 * scale) if nearer else (distance > 1e-6 * scale)


@pytest.mark.parametrize(
    ("function", "form"),
    [
        (F.gelu, exact_form),
        (nn.GELU(), exact_form),
        (lambda x: F.gelu(x, "tanh"), tanh_form),
        (nn.GELU("tanh"), tanh_form),
    ],
)
def test_gelu_is_exact_unless_the_tanh_form_is_asked_for(function, form):
    """Row `same-math`."""
    x = np.linspace(-5.0, 5.0, 101)
    np.testing.assert_allclose(function(mg.Tensor(x)).data, form(x), rtol=0, atol=5e-12)
    assert np.abs(tanh_form(x) - exact_form(x)).max() > 1e-4


# ------------------------------------------------------------------------------------------------- generation


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_generate_draws_from_the_logits_divided_by_the_temperature(temperature):
    """One token from each of 40 generators, against the same draw from a softmax written out."""
    model = gpt(n_layer=1)
    model.token_embedding.weight.data *= 1.5  # logits apart, but no token sure
    prompt = np.array([3, 1, 4])
    scaled = model(prompt[None]).data[0, -1] / temperature
    shares = np.exp(scaled - scaled.max()) / np.exp(scaled - scaled.max()).sum()
    found = [model.generate(prompt, 1, np.random.default_rng(seed), temperature)[-1] for seed in range(40)]
    drawn = [np.random.default_rng(seed).choice(11, p=shares) for seed in range(40)]
    assert found == drawn
    assert len(set(drawn)) > 1


def test_temperatures_near_0_take_the_likeliest_and_high_ones_nearly_any():
    model = gpt(n_layer=1)

    def written(temperature):
        return model.generate(np.array([1]), 30, np.random.default_rng(0), temperature).tolist()

    assert written(1e-9) == written(0.0)
    assert len(set(written(1e9))) >= 8  # of 11, drawn 30 times: fewer in one case of 10^4


@pytest.mark.parametrize("mode", [True, False])
def test_generate_leaves_each_part_in_the_mode_it_was_in(mode):
    model = gpt(n_layer=2, dropout=0.5).train(mode)
    model.blocks[1].dropout.training = not mode
    before = [module.training for module in model.modules()]
    outputs = [model.generate(np.array([1]), 5, np.random.default_rng(0)).tolist() for _ in range(2)]
    assert [module.training for module in model.modules()] == before
    assert outputs[0] == outputs[1]  # and it generated without dropout


def test_generate_restores_the_mode_when_it_fails():
    model = gpt(n_layer=1, dropout=0.5)
    with pytest.raises(ValueError, match=r"\[0, 11\)"):
        model.generate(np.array([11]), 1, np.random.default_rng(0))
    assert all(module.training for module in model.modules())


# ------------------------------------------------------------------------------------------------------ norms


def test_layer_norm_uses_its_eps():
    """Row `same-math`. The rows are small, so that eps decides; at 1e-5 they would come out of size 1."""
    x = np.random.default_rng(0).standard_normal((3, 5)) * 0.01
    centred = x - x.mean(-1, keepdims=True)
    for eps in (1e-3, 0.5):
        layer = nn.LayerNorm(5, eps, dtype=np.float64)
        expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
        np.testing.assert_allclose(layer(mg.Tensor(x)).data, expected, rtol=1e-12)
    default = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(nn.LayerNorm(5, dtype=np.float64)(mg.Tensor(x)).data, default, rtol=1e-12)


def test_rms_norm_uses_its_eps():
    """Row `same-math`."""
    x = np.random.default_rng(0).standard_normal((3, 5)) * 0.001
    for eps in (1e-3, 0.5):
        expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + eps)
        np.testing.assert_allclose(nn.RMSNorm(5, eps, dtype=np.float64)(mg.Tensor(x)).data, expected, rtol=1e-12)
    default = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(nn.RMSNorm(5, dtype=np.float64)(mg.Tensor(x)).data, default, rtol=1e-12)
