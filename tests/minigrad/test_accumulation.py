"""Gradient accumulation and freezing. Tolerances: docs/conventions.md."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.data import LabelledData, TextData
from minigrad.nn import functional as F
from minigrad.train import (
    SingleProcess,
    TrainConfig,
    accumulate_gradients,
    freeze,
    frozen_names,
    gradient_step,
    train,
    unfreeze,
)


def network(norm, seed=0):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(6, 8, rng=rng, dtype=np.float64), norm, nn.Tanh(), nn.Linear(8, 3, rng=rng, dtype=np.float64)
    )
    return model


def batch(rows=12, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 6)) * 2 + 1, rng.integers(0, 3, rows)


def gradients(model):
    return np.concatenate([p.grad.numpy().ravel() for p in model.parameters() if p.grad is not None])


def whole_and_accumulated(model, cuts):
    """(gradient, loss) of the batch at once, and in the pieces that begin at `cuts`."""
    inputs, targets = batch()
    found = []
    for pieces in ([slice(0, 12)], [slice(a, b) for a, b in zip([0, *cuts], [*cuts, 12], strict=True)]):
        model.zero_grad()
        loss = accumulate_gradients(
            lambda piece: F.cross_entropy(model(mg.Tensor(inputs[piece])), targets[piece]),
            pieces,
            [piece.stop - piece.start for piece in pieces],
        )
        found.append((gradients(model), loss))
    return found


@given(st.lists(st.integers(0, 12), max_size=5).map(sorted))
def test_accumulation_equals_the_large_batch_with_layer_norm(cuts):
    """Row `same-math`; pieces of any size, empty ones too."""
    (whole, loss), (summed, mean) = whole_and_accumulated(network(nn.LayerNorm(8, dtype=np.float64)), cuts)
    np.testing.assert_allclose(summed, whole, rtol=0, atol=1e-12 * np.abs(whole).max())
    assert mean == pytest.approx(loss, rel=1e-12)


def test_accumulation_differs_from_the_large_batch_with_batch_norm():
    """The mean and variance that it divides by are those of a piece: another function, not another order of sums."""
    (whole, loss), (summed, mean) = whole_and_accumulated(network(nn.BatchNorm1d(8, dtype=np.float64)), [4, 8])
    assert np.abs(summed - whole).max() > 1e-3 * np.abs(whole).max()
    assert abs(mean - loss) > 1e-3


def test_sequences_of_unequal_length_count_by_their_targets():
    """Targets of -1 are padding; a mean of the pieces' means would weigh a short sequence as much as a long one."""
    rng = np.random.default_rng(0)
    embedding, head = nn.Embedding(7, 5, rng=rng, dtype=np.float64), nn.Linear(5, 7, rng=rng, dtype=np.float64)
    model = nn.Sequential(embedding, head)
    tokens = rng.integers(0, 7, (4, 9))
    lengths = [9, 2, 5, 1]
    targets = np.where(np.arange(9) < np.array(lengths)[:, None], rng.integers(0, 7, (4, 9)), -1)

    def loss_of(rows):
        kept = targets[rows].reshape(-1) >= 0
        logits = model(tokens[rows]).reshape(-1, 7)
        return F.cross_entropy(logits[kept], targets[rows].reshape(-1)[kept])

    loss_of(slice(0, 4)).backward()
    whole = gradients(model)
    found = {}
    for name, counts in (("targets", lengths), ("sequences", [1, 1, 1, 1])):
        model.zero_grad()
        accumulate_gradients(loss_of, [slice(i, i + 1) for i in range(4)], counts)
        found[name] = np.abs(gradients(model) - whole).max() / np.abs(whole).max()
    assert found["targets"] < 1e-12
    assert found["sequences"] > 0.1


def test_the_loss_scale_is_in_the_gradient_and_not_in_the_loss():
    w = mg.Tensor([2.0], requires_grad=True, dtype=np.float64)
    mean = accumulate_gradients(lambda x: (w * x).mean(), [1.0, 4.0], [3, 1], scale=8.0)
    assert mean == 2.0 * (0.75 * 1 + 0.25 * 4)
    assert w.grad.item() == 8.0 * (0.75 * 1 + 0.25 * 4)


@pytest.mark.parametrize("counts", [[], [0, 0], [2, -1]])
def test_counts_that_make_no_sense(counts):
    with pytest.raises(ValueError, match="counts="):
        accumulate_gradients(lambda x: x, [1] * len(counts), counts)
    with pytest.raises(ValueError, match="zip"):
        accumulate_gradients(lambda x: mg.Tensor([1.0], requires_grad=True).sum(), [1], [1, 1])


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 8])
def test_the_training_step_in_pieces(pieces):
    """Row `same-math`, through the loop's own step."""
    data = TextData.from_text("the quick brown fox jumps over the lazy dog\n" * 30, 16)
    shape = nn.GPTConfig(data.tokenizer.vocab_size, 16, n_layer=1, n_head=2, n_embd=8)
    model = nn.GPT(shape, rng=np.random.default_rng(0), dtype=np.float64)
    found = []
    for accumulate in (1, pieces):
        config = TrainConfig(batch_size=8, accumulate=accumulate, clip=1e9)
        numbers = gradient_step(SingleProcess(model), data, np.arange(8), config)
        found.append(np.array([*numbers, *gradients(model)]))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-12 * np.abs(found[0]).max())


def test_more_pieces_than_examples_are_refused():
    with pytest.raises(ValueError, match="accumulate=9 exceeds batch_size=8"):
        TrainConfig(batch_size=8, accumulate=9)


# ------------------------------------------------------------------------------------------------- freezing


def test_frozen_parameters_stay_to_the_bit_and_the_others_move():
    inputs, targets = batch(40)
    data = LabelledData(inputs, targets, inputs, targets)
    model = network(nn.LayerNorm(8, dtype=np.float64))
    assert freeze(model, "layers.0.*", "*.3.bias") == ["layers.0.weight", "layers.0.bias", "layers.3.bias"]
    assert frozen_names(model) == ["layers.0.weight", "layers.0.bias", "layers.3.bias"]
    before = {name: p.numpy().copy() if not p.requires_grad else p.data.copy() for name, p in model.named_parameters()}
    train(SingleProcess(model), data, TrainConfig(steps=3, batch_size=8, weight_decay=0.5, validate_every=0))
    moved = {name for name, p in model.named_parameters() if not np.array_equal(p.data, before[name])}
    assert moved == {"layers.1.weight", "layers.1.bias", "layers.3.weight"}
    assert model.layers[0].weight.grad is None


def test_the_gradient_of_the_rest_is_the_same():
    model = network(nn.LayerNorm(8, dtype=np.float64))
    inputs, targets = batch()
    F.cross_entropy(model(mg.Tensor(inputs)), targets).backward()
    before = model.layers[3].weight.grad.numpy()
    freeze(model, "layers.0.*")
    model.zero_grad()
    F.cross_entropy(model(mg.Tensor(inputs)), targets).backward()
    np.testing.assert_array_equal(model.layers[3].weight.grad.numpy(), before)


def test_thawing_and_names_that_nobody_has():
    model = network(nn.Tanh())
    model.layers[0].bias.grad = mg.Tensor(np.ones(8))
    freeze(model, "*")
    assert model.layers[0].bias.grad is None
    assert len(frozen_names(model)) == 4
    assert unfreeze(model, "layers.3.weight") == ["layers.3.weight"]
    assert len(frozen_names(model)) == 3
    with pytest.raises(ValueError, match=r"no parameter is named 'layer.\*'; the first is 'layers.0.weight'"):
        freeze(model, "layers.0.*", "layer.*")
