"""Convolution, normalisation over the batch, recurrent cells, attention with masks and caches, GPT-2's weights."""

import json
import struct

import numpy as np
import pytest
import scipy.signal

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.nn.gpt import sample
from minigrad.nn.gpt2_weights import gpt2_layout, load_gpt2
from minigrad.serialize import save_arrays

RNG = np.random.default_rng(0)


def gpt(block_size=8, dtype=np.float64):
    shape = nn.GPTConfig(11, block_size, n_layer=2, n_head=2, n_embd=8)
    return nn.GPT(shape, rng=np.random.default_rng(1), dtype=dtype)


# ------------------------------------------------------------------------------------------------- convolution


def naive_conv2d(x, weight, bias, stride, padding, dilation):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    B, C, H, W = x.shape
    O, _, kh, kw = weight.shape
    oh, ow = ((n - dilation * (k - 1) - 1) // stride + 1 for n, k in ((H, kh), (W, kw)))
    out = np.zeros((B, O, oh, ow))
    for b, o, i, j in np.ndindex(B, O, oh, ow):
        for c, u, v in np.ndindex(C, kh, kw):
            out[b, o, i, j] += x[b, c, i * stride + u * dilation, j * stride + v * dilation] * weight[o, c, u, v]
    return out + bias[:, None, None]


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 0, 2)])
def test_conv2d_against_loops(stride, padding, dilation):
    x, w, b = RNG.standard_normal((2, 3, 6, 7)), RNG.standard_normal((4, 3, 3, 2)), RNG.standard_normal(4)
    ours = F.conv2d(mg.Tensor(x), mg.Tensor(w), mg.Tensor(b), stride, padding, dilation).numpy()
    np.testing.assert_allclose(ours, naive_conv2d(x, w, b, stride, padding, dilation), atol=1e-12)


def test_conv2d_is_correlation_and_not_convolution():
    x, w = RNG.standard_normal((6, 6)), RNG.standard_normal((3, 3))
    ours = F.conv2d(mg.Tensor(x[None, None]), mg.Tensor(w[None, None])).numpy()[0, 0]
    np.testing.assert_allclose(ours, scipy.signal.correlate2d(x, w, "valid"), atol=1e-12)
    assert np.abs(ours - scipy.signal.convolve2d(x, w, "valid")).max() > 0.1


def test_pooling_by_hand():
    x = mg.Tensor(np.arange(16.0).reshape(1, 1, 4, 4), requires_grad=True)
    pooled = F.max_pool2d(x, 2)
    assert pooled.tolist() == [[[[5.0, 7.0], [13.0, 15.0]]]]
    pooled.sum().backward()
    assert x.grad.data.sum() == 4
    assert x.grad.data[0, 0, 1, 1] == 1
    assert F.avg_pool2d(x, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]


def test_equal_largest_elements_send_the_gradient_to_the_first():
    x = mg.Tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]


def test_lenet_learns_which_half_is_bright():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64)
    images = rng.standard_normal((64, 1, 8, 8)).astype(np.float32) * 0.3
    images[labels == 1, :, :4] += 1.0
    model = nn.LeNet(8, classes=2, rng=rng)
    optimizer = mg.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(15):
        optimizer.zero_grad()
        F.cross_entropy(model(mg.Tensor(images)), labels).backward()
        optimizer.step()
    assert (model(mg.Tensor(images)).argmax(1).numpy() == labels).mean() > 0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv2d(mg.Tensor(np.ones((1, 2, 4, 4))), mg.Tensor(np.ones((1, 3, 2, 2)))), r"\(1, 2, 4, 4\)"),
        (lambda: F.conv2d(mg.Tensor(np.ones((1, 1, 2, 2))), mg.Tensor(np.ones((1, 1, 3, 3)))), "does not fit"),
        (lambda: F.conv1d(mg.Tensor(np.ones((1, 4))), mg.Tensor(np.ones((1, 1, 2)))), r"\(B, C, T\)"),
        (lambda: nn.Conv2d(1, 1, 0), "kernel_size=0"),
        (lambda: F.max_pool2d(mg.Tensor(np.ones((1, 1, 4, 4))), 2, padding=2), "at most half"),
        (lambda: F.avg_pool2d(mg.Tensor(np.ones((1, 4, 4))), 2), r"\(B, C, H, W\)"),
        (lambda: nn.LeNet(10), "size=10"),
        (lambda: nn.BatchNorm1d(3)(mg.Tensor(np.ones((2, 4)))), "3 channels second"),
        (lambda: nn.BatchNorm1d(3)(mg.Tensor(np.ones((1, 3)))), "more than one value"),
        (lambda: F.mse_loss(mg.Tensor(np.ones((2, 1))), np.ones(2)), "equal shapes"),
        (lambda: F.cross_entropy(mg.Tensor(np.ones((1, 2))), np.array([0]), label_smoothing=2.0), "label_smoothing=2"),
        (lambda: F.cross_entropy(mg.Tensor(np.ones((1, 2))), np.array([-100])), "no rows"),
        (lambda: mg.einsum("ii->i", mg.Tensor(np.ones((2, 2)))), "twice"),
        (lambda: mg.einsum("ij,jk", mg.Tensor(np.ones((2, 2))), mg.Tensor(np.ones((2, 2)))), "name every axis"),
        (lambda: mg.einsum("ij->j", mg.Tensor(np.ones(2)), mg.Tensor(np.ones(2))), "1 terms for 2"),
        (lambda: mg.Tensor(np.ones(5)).split([2, 2]), "do not add up to 5"),
        (lambda: mg.Tensor(np.ones((2, 2))).pad(((1, 1),)), "each of the 2 axes"),
        (lambda: mg.Tensor(np.ones((2, 2))).outer(np.ones(2)), "two vectors"),
        (lambda: nn.MultiHeadAttention(6, 4), "divisible by heads=4"),
        (lambda: F.blockwise_attention(*[mg.Tensor(np.ones((2, 2)))] * 3, block=0), "block=0"),
        (lambda: gpt().generate(np.array([]), 1, RNG), "at least one token"),
        (lambda: gpt().generate(np.array([1]), 1, RNG, temperature=-1), "temperature=-1"),
        (lambda: gpt().generate(np.array([1]), 1, RNG, top_k=0), "top_k=0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --------------------------------------------------------------------------------------------- normalisation


def test_batch_norm_uses_the_batch_in_training_and_the_running_statistics_in_evaluation():
    layer = nn.BatchNorm2d(3, momentum=0.5, dtype=np.float64)
    x = RNG.standard_normal((4, 3, 5, 5)) * 2 + 1
    y = layer(mg.Tensor(x)).data
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, rtol=1e-4)
    np.testing.assert_allclose(layer.running_mean, 0.5 * x.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, 0.5 + 0.5 * x.var((0, 2, 3), ddof=1), rtol=1e-12)
    before = layer.running_mean.copy()
    evaluated = layer.eval()(mg.Tensor(x)).data
    np.testing.assert_array_equal(layer.running_mean, before)
    shape = (1, 3, 1, 1)
    expected = (x - before.reshape(shape)) / np.sqrt(layer.running_var.reshape(shape) + layer.eps)
    np.testing.assert_allclose(evaluated, expected, rtol=1e-12)


def test_batch_norm_makes_accumulated_small_batches_differ_from_the_large_one_and_layer_norm_does_not():
    """Row `k-ranks` for layer norm; the negative test for batch norm."""
    x, y = RNG.standard_normal((8, 4)), RNG.standard_normal((8, 4))

    def gradient(norm, pieces):
        model = nn.Sequential(nn.Linear(4, 4, rng=np.random.default_rng(0), dtype=np.float64), norm)
        for part in np.split(np.arange(8), pieces):
            (F.mse_loss(model(mg.Tensor(x[part])), y[part]) * (1.0 / pieces)).backward()
        return model[0].weight.grad.data

    layer, batch = (lambda: nn.LayerNorm(4, dtype=np.float64)), (lambda: nn.BatchNorm1d(4, dtype=np.float64))
    np.testing.assert_allclose(gradient(layer(), 4), gradient(layer(), 1), rtol=0, atol=1e-12)
    assert np.abs(gradient(batch(), 4) - gradient(batch(), 1)).max() > 1e-3


def test_buffers_are_state_and_follow_the_dtype():
    layer = nn.Sequential(nn.BatchNorm1d(2))
    names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert set(layer.state_dict()) == {f"layers.0.{name}" for name in names}
    layer.to(np.float64)
    assert layer[0].running_mean.dtype == np.float64
    assert layer[0].num_batches_tracked.dtype == np.int64
    layer(mg.Tensor(RNG.standard_normal((4, 2))))
    other = nn.Sequential(nn.BatchNorm1d(2, dtype=np.float64))
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other[0].running_var, layer[0].running_var)
    with pytest.raises(ValueError, match="dtype float64, the model's is float32"):
        nn.Sequential(nn.BatchNorm1d(2)).load_state_dict(layer.state_dict())


# ------------------------------------------------------------------------------------------------- recurrent


def test_an_lstm_remembers_the_first_token_of_a_sequence():
    rng = np.random.default_rng(0)
    cell, head = nn.LSTMCell(2, 8, rng=rng), nn.Linear(8, 2, rng=rng)
    optimizer = mg.optim.AdamW([*cell.parameters(), *head.parameters()], lr=0.05)
    first = rng.integers(0, 2, 32)
    sequence = np.eye(2, dtype=np.float32)[np.concatenate([first[:, None], rng.integers(0, 2, (32, 9))], 1)]
    for _ in range(60):
        state = None
        for t in range(10):
            state = cell(mg.Tensor(sequence[:, t]), state)
        loss = F.cross_entropy(head(state[0]), first)
        optimizer.zero_grad()
        loss.backward()
        mg.optim.clip_grad_norm_(optimizer.params, 1.0)
        optimizer.step()
    assert loss.item() < 0.1


def test_rnn_cell_by_its_formula():
    cell = nn.RNNCell(3, 2, rng=RNG, dtype=np.float64)
    x, h = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 2))
    expected = np.tanh(x @ cell.weight_ih.data.T + cell.bias_ih.data + h @ cell.weight_hh.data.T + cell.bias_hh.data)
    np.testing.assert_allclose(cell(mg.Tensor(x), mg.Tensor(h)).data, expected, rtol=1e-12)


# ------------------------------------------------------------------------------------------------- attention


def test_multi_head_attention_with_a_mask_that_says_what_causal_says():
    layer = nn.MultiHeadAttention(8, 2, rng=RNG, dtype=np.float64)
    x = mg.Tensor(RNG.standard_normal((2, 5, 8)))
    visible = np.tril(np.ones((5, 5), dtype=bool))
    np.testing.assert_allclose(layer(x, is_causal=True).data, layer(x, attn_mask=visible).data, rtol=1e-12)
    assert layer(x, mg.Tensor(RNG.standard_normal((2, 7, 8)))).shape == (2, 5, 8)


def test_packed_attention_is_multi_head_attention_with_the_weights_side_by_side():
    packed = nn.CausalSelfAttention(8, 2, rng=RNG, dtype=np.float64)
    apart = nn.MultiHeadAttention(8, 2, rng=RNG, dtype=np.float64)
    for position, layer in enumerate((apart.query, apart.key, apart.value)):
        layer.weight.data[...] = packed.qkv.weight.data[8 * position : 8 * position + 8]
        layer.bias.data[...] = packed.qkv.bias.data[8 * position : 8 * position + 8]
    apart.projection.load_state_dict(packed.projection.state_dict())
    x = mg.Tensor(RNG.standard_normal((2, 5, 8)))
    np.testing.assert_allclose(packed(x).data, apart(x, is_causal=True).data, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("block", [1, 3, 64])
def test_blockwise_attention_equals_the_plain_form(causal, block):
    """Row `same-math`, values and gradients; 10 positions are not a multiple of 3."""
    inputs = [mg.Tensor(RNG.standard_normal((2, 10, 4)), requires_grad=True) for _ in range(3)]
    cotangent = RNG.standard_normal((2, 10, 4))
    plain = F.scaled_dot_product_attention(*inputs, is_causal=causal)
    block_wise = F.blockwise_attention(*inputs, is_causal=causal, block=block)
    np.testing.assert_allclose(block_wise.data, plain.data, rtol=0, atol=1e-12)
    for a, b in zip(mg.grad(plain, inputs, cotangent), mg.grad(block_wise, inputs, cotangent), strict=True):
        np.testing.assert_allclose(b.data, a.data, rtol=0, atol=1e-12)


def test_blockwise_attention_keeps_no_square_matrix():
    from minigrad.graph import saved_bytes

    inputs = [mg.Tensor(RNG.standard_normal((1, 512, 8)), requires_grad=True) for _ in range(3)]
    plain = saved_bytes(F.scaled_dot_product_attention(*inputs).sum())["Attention"]
    block_wise = saved_bytes(F.blockwise_attention(*inputs).sum())["BlockwiseAttention"]
    assert plain == 512 * 512 * 8
    assert block_wise == 512 * 8 * (8 + 1)


# ------------------------------------------------------------------------------------------------- generation


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.0}, {"top_k": 3}, {"temperature": 0.5, "top_k": 5}])
def test_the_cache_changes_no_token(settings):
    """Past the block size too, where positions shift and the cache is given up."""
    model = gpt()
    with_cache = model.generate(np.array([1, 2, 3]), 12, np.random.default_rng(0), **settings)
    without = model.generate(np.array([1, 2, 3]), 12, np.random.default_rng(0), use_cache=False, **settings)
    np.testing.assert_array_equal(with_cache, without)
    assert len(with_cache) == 15


def test_the_cache_gives_the_same_logits():
    model, tokens = gpt(), RNG.integers(0, 11, (1, 6))
    with mg.no_grad():
        whole = model(tokens).data
        caches = model._caches()
        parts = [model(tokens[:, i:j], caches).data for i, j in ((0, 3), (3, 4), (4, 6))]
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=1e-12, atol=1e-14)


def test_top_k_leaves_k_tokens():
    logits = np.array([0.0, 5.0, 4.9, 4.8, -1.0])
    drawn = {sample(logits, RNG, top_k=2) for _ in range(200)}
    assert drawn == {1, 2}


# ---------------------------------------------------------------------------------------------- GPT-2's weights


def test_the_published_parameter_counts():
    counts = {name: shape.parameter_count() for name, shape in nn.GPT2.items()}
    assert [round(n / 1e6, 1) for n in counts.values()] == [124.4, 354.8, 774.0, 1557.6]
    model = gpt()
    assert model.config.parameter_count() == sum(p.numel() for p in model.parameters())


def test_weights_in_the_hugging_face_layout_there_and_back(tmp_path):
    model = gpt(dtype=np.float32)
    arrays = gpt2_layout(model)
    assert arrays["transformer.h.0.attn.c_attn.weight"].shape == (8, 24)
    extras = {"transformer.h.0.attn.bias": np.ones((1, 1, 8, 8), np.float32), "lm_head.weight": np.ones((11, 8))}
    save_arrays(tmp_path / "model.safetensors", arrays | extras)
    loaded = load_gpt2(tmp_path / "model.safetensors", n_head=2)
    tokens = RNG.integers(0, 11, (2, 8))
    np.testing.assert_array_equal(loaded(tokens).data, model(tokens).data)


def test_files_that_are_no_gpt2(tmp_path):
    arrays = gpt2_layout(gpt(dtype=np.float32))
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError):
        load_gpt2(path, 2)
    for missing in ("transformer.wte.weight", "transformer.h.1.mlp.c_fc.bias"):
        save_arrays(path, {name: array for name, array in arrays.items() if name != missing})
        with pytest.raises(ValueError, match=missing.removeprefix("transformer.")):
            load_gpt2(path, 2)
    save_arrays(path, arrays | {"transformer.ln_f.bias": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"'norm.bias' has shape \(3,\)"):
        load_gpt2(path, 2)
    header = json.dumps({"x": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_gpt2(path, 2)


def test_parameter_table():
    table = nn.Linear(3, 2).parameter_table()
    assert table.splitlines()[0].split() == ["weight", "(2,", "3)", "6"]
    assert table.splitlines()[-1].split() == ["total", "8"]
