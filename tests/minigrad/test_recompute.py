"""Activation recomputation: the same gradients, less memory. Tolerances: docs/conventions.md."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.graph import SavedActivations
from minigrad.nn import functional as F
from minigrad.precision import autocast
from minigrad.recompute import recompute, recompute_calls, recompute_sequential


def gradients(model):
    return {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(one, other):
    """Row `bits`: recomputation runs the same operations on the same numbers."""
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def mlp(depth=6, width=8, dropout=0.0, seed=0):
    rng = np.random.default_rng(seed)
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, rng=rng, dtype=np.float64), nn.Tanh(), nn.Dropout(dropout, rng=rng)]
    return nn.Sequential(*layers)


def run(model, call, rows=5, seed=1):
    """Gradients of the parameters and of the input, under a random cotangent."""
    rng = np.random.default_rng(seed)
    x = mg.Tensor(rng.standard_normal((rows, 8)), requires_grad=True)
    model.zero_grad()
    y = call(x)
    y.backward(rng.standard_normal(y.shape))
    return {**gradients(model), "x": x.grad.numpy()}


@pytest.mark.parametrize("segments", [1, 2, 3, 4, 5, 18])
def test_the_gradients_are_the_same_bits(segments):
    model = mlp()
    assert_same(run(model, model), run(model, lambda x: recompute_sequential(model.layers, segments, x)))


def test_nested():
    model = mlp()
    inner = [nn.Sequential(*model.layers[:6]), nn.Sequential(*model.layers[6:12]), nn.Sequential(*model.layers[12:])]
    outer = nn.Sequential(*inner)
    expected = run(model, model)
    for part in inner:
        recompute_calls(part)
    assert_same(expected, run(model, lambda x: recompute(outer, x)))


@pytest.mark.parametrize("nested", [False, True])
def test_dropout_is_replayed_and_leaves_the_generator_where_it_would_be(nested):
    plain, saving = mlp(dropout=0.5), mlp(dropout=0.5)
    call = nn.Sequential(*saving.layers[:9])
    rest = nn.Sequential(*saving.layers[9:])
    if nested:
        recompute_calls(saving.layers[2])
        recompute_calls(saving.layers[5])
    for _ in range(2):  # the second round shows that the first one's backward did not draw
        assert_same(run(plain, plain), run(saving, lambda x: recompute(rest, recompute(call, x))))


def test_a_generator_passed_as_argument_or_named_is_replayed():
    def noisy(x, rng):
        return F.dropout(x, 0.5, True, rng).tanh() * x

    for call in (
        lambda x, rng: recompute(noisy, x, rng),
        lambda x, rng: recompute(noisy, x, rng=rng),
        lambda x, rng: recompute(lambda y: noisy(y, rng), x, generators=[rng]),
    ):
        found = []
        for way in (noisy, call):
            x = mg.Tensor(np.linspace(-1, 1, 50), requires_grad=True)
            way(x, np.random.default_rng(3)).sum().backward()
            found.append(x.grad.numpy())
        np.testing.assert_array_equal(*found)


def test_a_hidden_generator_is_noticed():
    rng = np.random.default_rng(0)
    x = mg.Tensor(np.ones(100), requires_grad=True)
    y = recompute(lambda t: F.dropout(t, 0.5, True, rng), x)
    with pytest.raises(RuntimeError, match="name it in generators="):
        y.sum().backward()


def test_a_hidden_tensor_is_refused_instead_of_getting_no_gradient():
    w = mg.Tensor([2.0], requires_grad=True)
    x = mg.Tensor([3.0], requires_grad=True)
    y = recompute(lambda t: t * w, x)
    with pytest.raises(RuntimeError, match="pass it as an argument"):
        y.backward()
    recompute(lambda t, s: t * s, x, w).backward()
    assert (x.grad.item(), w.grad.item()) == (2.0, 3.0)


def test_the_same_tensor_twice_and_other_arguments():
    x = mg.Tensor([3.0], requires_grad=True)
    recompute(lambda a, b, power, *, c: a * b**power * c, x, x, 2, c=x).backward()
    assert x.grad.item() == 4 * 27.0
    (first,) = mg.grad(recompute(lambda a, b: a * b * b, x, x), x, create_graph=True)
    (second,) = mg.grad(first, x)
    assert (first.item(), second.item()) == (27.0, 18.0)


def test_parameters_used_in_two_places_and_by_two_segments():
    model = mlp(depth=2)
    twice = nn.Sequential(*model.layers, *model.layers)
    assert_same(run(twice, twice), run(twice, lambda x: recompute_sequential(twice.layers, 3, x)))


def test_frozen_parameters_and_inputs_without_gradient():
    model = mlp(depth=2)
    model.layers[0].weight.requires_grad_(False)
    x = mg.Tensor(np.ones((2, 8)))
    recompute(model, x).sum().backward()
    assert model.layers[0].weight.grad is None
    assert model.layers[3].weight.grad is not None
    assert x.grad is None


def test_without_a_graph_the_function_is_simply_called():
    calls = []

    def count(x):
        calls.append(1)
        return x.exp()

    with mg.no_grad():
        assert not recompute(count, mg.Tensor([1.0], requires_grad=True)).requires_grad
    recompute(count, mg.Tensor([1.0]))
    assert len(calls) == 2
    recompute(count, mg.Tensor([1.0], requires_grad=True)).backward()
    assert len(calls) == 4


def test_retain_graph_and_an_input_written_in_place():
    x = mg.Tensor([2.0], requires_grad=True)
    y = recompute(lambda t: t * t, x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0
    y = recompute(lambda t: t * t, x)
    with mg.no_grad():
        x.copy_(5.0)
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()


def test_gradients_of_gradients():
    """Rows `same-math`: the recorded walk goes through another order of additions."""
    rng = np.random.default_rng(5)
    model = mlp(depth=2)
    data, direction = rng.standard_normal((3, 8)), rng.standard_normal((3, 8))
    found = []
    for call in (model, lambda t: recompute(model, t), lambda t: recompute_sequential(model.layers, 3, t)):
        model.zero_grad()
        x = mg.Tensor(data, requires_grad=True)
        (first,) = mg.grad((call(x * x) ** 2).sum(), x, create_graph=True)
        (first * mg.Tensor(direction)).sum().backward()
        found.append({**gradients(model), "x": x.grad.numpy()})
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for name, value in found[0].items():
            np.testing.assert_allclose(other[name], value, rtol=0, atol=1e-12 * np.abs(value).max())


def test_gradients_asked_for_by_name():
    model = mlp(depth=1)
    x = mg.Tensor(np.ones((2, 8)), requires_grad=True)
    expected = mg.grad(model(x).sum(), [x, model.layers[0].weight])
    found = mg.grad(recompute(model, x).sum(), [x, model.layers[0].weight])
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_precision_of_the_first_run_holds_in_the_second():
    """The backward is called behind the autocast block, and must still round."""
    rng = np.random.default_rng(0)
    model = nn.MLP([8, 16, 8], rng=rng)
    data = rng.standard_normal((4, 8)).astype(np.float32)
    found = []
    for call in (model, lambda t: recompute(model, t)):
        model.zero_grad()
        with autocast("bfloat16"):
            loss = (call(mg.Tensor(data)) ** 2).sum()
        loss.backward()
        found.append(gradients(model))
    assert_same(*found)


def test_a_gpt_with_recomputed_blocks_keeps_its_names_and_gradients():
    config = nn.GPTConfig(vocab_size=11, block_size=6, n_layer=3, n_head=2, n_embd=8, dropout=0.3)
    tokens = np.random.default_rng(0).integers(0, 11, (2, 7))
    found = []
    for saving in (False, True):
        model = nn.GPT(config, rng=np.random.default_rng(1), dtype=np.float64)
        names = [name for name, _ in model.named_parameters()]
        if saving:
            for block in model.blocks:
                recompute_calls(block)
        assert [name for name, _ in model.named_parameters()] == names
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
        found.append(gradients(model))
    assert_same(*found)


class Block(nn.Module):
    """Keeps one array of its input's size for the backward: its output."""

    def forward(self, x):
        """Hyperbolic tangent."""
        return x.tanh()


def peak_blocks(layers, segments, elements=1000):
    """Largest number of activations of one block's size that were held at once."""
    x = mg.Tensor(np.linspace(-1.0, 1.0, elements), requires_grad=True)
    with SavedActivations() as saved:
        y = nn.Sequential(*layers)(x) if segments is None else recompute_sequential(layers, segments, x)
        y.sum().backward()
    return saved.peak / x.data.nbytes


@pytest.mark.parametrize(("n", "segments"), [(16, 4), (64, 8), (100, 10)])
def test_peak_memory_falls_from_n_to_two_roots_of_n(n, segments):
    layers = [Block() for _ in range(n)]
    assert peak_blocks(layers, None) == n
    # k inputs (the first is the user's own) and the blocks of the segment that is gone through.
    assert 2 * segments - 2 <= peak_blocks(layers, segments) <= 2 * segments


def test_the_first_run_of_a_part_leaves_no_graph():
    """Layers with parameters: their inside is in memory only while the backward is in it."""
    rng = np.random.default_rng(0)
    layers = [nn.Sequential(nn.Linear(16, 16, rng=rng), nn.Tanh()) for _ in range(16)]
    peaks = {}
    for name, call in (("all", nn.Sequential(*layers)), ("parts", lambda x: recompute_sequential(layers, 4, x))):
        with SavedActivations() as saved:
            call(mg.Tensor(np.ones((8, 16), np.float32), requires_grad=True)).sum().backward()
        peaks[name] = saved.peak / (8 * 16 * 4)
    assert peaks["all"] == 16  # the output of each tanh, which is the input of the next layer
    assert 6 <= peaks["parts"] <= 8


def test_the_root_is_the_best_number_of_segments():
    layers = [Block() for _ in range(64)]
    peaks = {segments: peak_blocks(layers, segments) for segments in (1, 2, 4, 8, 16, 32, 64)}
    assert min(peaks, key=peaks.get) == 8


@pytest.mark.parametrize("segments", [0, 4])
def test_numbers_of_segments_that_cannot_be(segments):
    with pytest.raises(ValueError, match=r"must lie in \[1, 3\]"):
        recompute_sequential([Block()] * 3, segments, mg.Tensor([1.0]))


def test_a_function_that_returns_no_tensor():
    with pytest.raises(TypeError, match="returns one tensor, got tuple"):
        recompute(lambda x: (x, x), mg.Tensor([1.0], requires_grad=True))
