"""Corners in which an engine goes wrong without a word: each was wrong once, or nearly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.autograd import Watcher
from minigrad.nn import functional as F
from minigrad.split_backward import split_backward

RNG = np.random.default_rng(0)
ROOT = Path(__file__).parent.parent.parent


def leaf(*shape):
    return mg.Tensor(RNG.standard_normal(shape), requires_grad=True)


# -------------------------------------------------------------------------------------------- recorded walks


def test_a_tensor_given_three_times_to_a_fused_operation_gets_its_gradient_once():
    x, cotangent = leaf(2, 3, 4), RNG.standard_normal((2, 3, 4))
    plain = mg.grad(F.scaled_dot_product_attention(x, x, x), x, cotangent)[0]
    recorded = mg.grad(F.scaled_dot_product_attention(x, x, x), x, cotangent, create_graph=True)[0]
    np.testing.assert_allclose(recorded.data, plain.data, rtol=1e-12)


def test_a_hook_before_a_fused_operation_runs_once_in_a_recorded_walk():
    x = leaf(3)
    y = x * 1.0
    calls = []
    y.register_hook(lambda g: calls.append(g) or g * 0.5)
    F.gelu(y).sum().backward(create_graph=True)
    assert len(calls) == 1
    expected = mg.grad(F.gelu(x).sum(), x)[0].data * 0.5
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-12)


def test_recorded_gradients_of_two_leaves_are_two_arrays():
    a, b = leaf(2), leaf(2)
    ((a + b) * 3).sum().backward(create_graph=True)
    assert not np.shares_memory(a.grad.data, b.grad.data)
    mg.optim.clip_grad_norm_([a, b], 1.0)
    assert np.sqrt((a.grad.data**2).sum() + (b.grad.data**2).sum()) == pytest.approx(1.0)


def test_a_second_backward_adds_to_a_recorded_gradient():
    a = leaf(3)
    a.sum().backward(create_graph=True)
    a.sum().backward()
    np.testing.assert_array_equal(a.grad.data, 2.0)


# ----------------------------------------------------------------------------------- writes behind the graph's back


def test_the_output_of_blockwise_attention_is_kept_and_guarded():
    q = leaf(4, 2)
    y = F.blockwise_attention(q, q, q, block=2)
    with mg.no_grad():
        y.copy_(0.0)
    with pytest.raises(RuntimeError, match="BlockwiseAttention needs its output"):
        y.sum().backward()


def test_targets_indices_and_conditions_are_those_of_the_forward():
    logits, targets = leaf(3, 4), np.array([0, 1, 2])
    expected = mg.grad(F.cross_entropy(logits, targets), logits)[0].data
    loss = F.cross_entropy(logits, targets)
    targets[:] = 3
    np.testing.assert_array_equal(mg.grad(loss, logits)[0].data, expected)
    index, condition = np.array([0, 0]), np.array([True, False, True, False])
    picked, chosen = logits[index].sum(), mg.where(condition, logits, 0.0).sum()
    index[:], condition[:] = 2, False
    assert mg.grad(picked, logits)[0].data.sum(1).tolist() == [8.0, 0.0, 0.0]
    assert mg.grad(chosen, logits)[0].data.sum() == 6.0


def test_a_tensor_of_a_tensor_shares_the_counter_of_writes_as_it_shares_the_memory():
    x = mg.Tensor(np.ones(2))
    w = leaf(2)
    loss = (w * x).sum()
    mg.Tensor(x)[0] = 5.0
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


def test_a_write_to_a_copy_made_by_an_index_array_disturbs_nobody():
    x, w = mg.Tensor(np.arange(4.0)), leaf(2)
    loss = (w * x[:2]).sum()
    picked = x[np.array([2, 3])]
    picked[0] = 7.0
    loss.backward()
    assert w.grad.tolist() == [0.0, 1.0]


def test_a_reshape_that_had_to_copy_is_no_view():
    x, w = mg.Tensor(np.arange(6.0).reshape(2, 3)), leaf(6)
    loss = (w * x.T.reshape(6)).sum()
    x.copy_(0.0)
    loss.backward()
    assert w.grad.tolist() == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]


def test_an_infinity_that_came_in_is_not_blamed_on_the_backward():
    from minigrad.anomaly import detect_anomaly

    w, x = leaf(2), mg.Tensor(np.array([1.0, np.inf]))
    with detect_anomaly():
        (w * x).sum().backward()
    assert w.grad.tolist() == [1.0, np.inf]


def test_looking_at_the_validation_data_leaves_frozen_parts_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5))
    model[1].eval()
    with model.evaluating():
        assert not model.training
    assert model.training
    assert not model[1].training


# ------------------------------------------------------------------------------------------------- custom functions


class Plain(mg.Function):
    def forward(self, x):
        return x * 2.0

    def backward(self, grad):
        return (grad * 2.0,)


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("forward", lambda self, x: None, "Plain.forward must return an array, got NoneType"),
        ("forward", lambda self, x: [1, 2], "Plain.forward must return an array, got list"),
        ("backward", lambda self, grad: grad, "must return a tuple of 1.* got ndarray"),
        ("backward", lambda self, grad: (grad, grad), "must return a tuple of 1.* got 2 values"),
        ("backward", lambda self, grad: None, "must return a tuple of 1.* got NoneType"),
    ],
)
def test_mistakes_in_a_custom_function_are_named(monkeypatch, method, body, message):
    monkeypatch.setattr(Plain, method, body)
    with pytest.raises(TypeError, match=message):
        Plain.apply(leaf(3)).sum().backward()


def test_a_gradient_of_the_wrong_shape_is_refused_at_the_leaf(monkeypatch):
    monkeypatch.setattr(Plain, "backward", lambda self, grad: (grad[:1],))
    with pytest.raises(ValueError, match=r"shape \(1,\) arrived at a leaf of shape \(3,\)"):
        Plain.apply(leaf(3)).sum().backward()


@pytest.mark.parametrize("call", [F.softmax, F.relu, nn.Linear(3, 4), nn.MLP([3, 2]), F.gelu])
def test_an_array_where_a_tensor_belongs(call):
    with pytest.raises(TypeError, match=r"needs tensors, got ndarray; wrap it: mg\.Tensor\(x\)"):
        call(np.ones((2, 3), np.float32))


def test_a_watcher_that_watches_already():
    watcher = Watcher()
    with watcher, pytest.raises(RuntimeError, match="watching already"):
        watcher.__enter__()
    with watcher:
        assert (leaf(1) * 2).requires_grad


def test_gradcheck_refuses_infinite_and_relatively_wrong_small_gradients():
    class Infinite(Plain):
        def backward(self, grad):
            return (grad * np.inf,)

    class Zero(mg.Function):
        def forward(self, x):
            return 1e-7 * x * x

        def backward(self, grad):
            return (grad * 0.0,)

    for function, message in ((Infinite, "not finite"), (Zero, "is wrong")):
        with pytest.raises(AssertionError, match=message):
            mg.gradcheck(function.apply, leaf(3), rng=np.random.default_rng(0))


def test_split_backward_runs_hooks_and_refuses_inner_tensors():
    x, w = leaf(3), leaf(3)
    y = x * w
    y.register_hook(lambda g: g * 10)
    (dx,), later = split_backward(y.sum(), [x])
    later.run()
    np.testing.assert_allclose(dx, 10 * w.data)
    np.testing.assert_allclose(w.grad.data, 10 * x.data)
    with pytest.raises(ValueError, match=r"inputs\[0\] is not a leaf"):
        split_backward((y * 2).sum(), [y])


# ------------------------------------------------------------------------------------------------- numbers, shapes


@pytest.mark.parametrize("exponent", [np.int64(2), np.float32(2), mg.Tensor(2.0), mg.Tensor([2.0, 2.0])])
def test_powers_of_negative_numbers(exponent):
    x = mg.Tensor([-2.0, 3.0], requires_grad=True)
    y = x**exponent
    assert y.tolist() == [4.0, 9.0]
    y.sum().backward()
    assert x.grad.tolist() == [-4.0, 6.0]


def test_causal_attention_with_other_lengths_lets_query_t_see_keys_up_to_t():
    q, k = mg.Tensor(RNG.standard_normal((2, 4))), mg.Tensor(RNG.standard_normal((5, 4)))
    short = F.scaled_dot_product_attention(q, k, k, is_causal=True).data
    np.testing.assert_allclose(short[0], k.data[0])
    long = F.scaled_dot_product_attention(k, q, q, is_causal=True).data
    assert np.isfinite(long).all()


def test_empty_batches():
    empty = mg.Tensor(np.zeros((0, 1, 8, 8), np.float32), requires_grad=True)
    assert nn.LeNet(8)(empty).shape == (0, 10)
    assert empty.flatten(1).shape == (0, 64)
    with pytest.warns(RuntimeWarning, match="empty"), np.errstate(invalid="ignore"):  # NumPy's word on 0 / 0
        empty.mean(0).sum().backward()
    assert empty.grad.shape == empty.shape
    assert (mg.Tensor(np.zeros((2, 3, 0))) @ mg.Tensor(np.zeros((0, 4)))).shape == (2, 3, 4)


def test_integers_become_the_layers_dtype():
    x = mg.Tensor(np.array([[1, 2, 3]]))
    assert nn.Linear(3, 2)(x).dtype == nn.Linear(3, 2, bias=False)(x).dtype == np.float32
    assert F.gelu(x).dtype == F.softmax(x).dtype == np.float32
    assert x.clip(2).tolist() == [[2, 2, 3]]
    assert x.clip(2).dtype == np.int64
    assert F.gelu(mg.Tensor(np.array([-1.0], np.float16))).item() == pytest.approx(-0.1587, abs=1e-3)


def test_formatting_rounding_and_arrays_of_tensors():
    loss = mg.Tensor(1.23456)
    assert f"{loss:.2f}" == "1.23"
    assert round(loss, 1) == pytest.approx(1.2)
    assert np.asarray(mg.Tensor([1.0, 2.0])).dtype == np.float32
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(leaf(2))
    with pytest.raises(TypeError, match="cannot be iterated"):
        list(loss)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.nll_loss(mg.Tensor(np.zeros((1, 2))), np.array([-1])), ValueError, r"\[0, 2\)"),
        (lambda: F.nll_loss(mg.Tensor(np.zeros((1, 2))), np.array([0.5])), ValueError, "integers"),
        (lambda: F.dropout(mg.Tensor([1.0]), 1.0, True, RNG), ValueError, "p=1.0"),
        (lambda: mg.Tensor([1.0]).split(0), ValueError, "split size 0"),
        (lambda: mg.where(True, 1.0, 2.0), TypeError, "np.where"),
        (lambda: mg.Tensor([1.0], dtype=np.complex64), TypeError, "numeric"),
        (lambda: F.layer_norm(*(mg.Tensor(np.ones(n)) for n in ((2, 3), 2, 3))), ValueError, r"\(2, 3\) and \(2,\)"),
        (lambda: F.linear(*(mg.Tensor(np.ones(n)) for n in ((2, 3), (4, 3), 3))), ValueError, r"\(4, 3\) and \(3,\)"),
        (lambda: mg.einsum("ij,j->i", mg.Tensor(np.ones((2, 3))), mg.Tensor(np.ones(1))), ValueError, "both 3 and 1"),
        (lambda: mg.einsum("ij->i", mg.Tensor(np.ones(2))), ValueError, "names 2 axes"),
        (lambda: F.scaled_dot_product_attention(*(leaf(2, 2) for _ in range(4))), ValueError, "attn_mask"),
        (lambda: mg.grad(3.0, leaf(1)), TypeError, "got float"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_generate_leaves_every_part_in_its_mode_also_after_an_error():
    model = nn.GPT(nn.GPTConfig(5, 4, n_layer=1, n_head=1, n_embd=4), rng=RNG)
    model.blocks[0].eval()
    model.generate(np.array([1]), 2, np.random.default_rng(0))
    assert model.training
    assert not model.blocks[0].training
    with pytest.raises(ValueError, match=r"\[0, 5\)"):
        model.generate(np.array([9]), 2, np.random.default_rng(0))
    assert model.training


def test_every_folder_with_python_files_is_installed():
    """`packages = find:` passes over folders without __init__.py, and an editable install hides it."""
    code = "from setuptools import find_packages; print(*find_packages(include=['minigrad*', 'parallel*']))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    if listed.returncode:
        pytest.skip("setuptools is not installed")
    packages = set(listed.stdout.split())
    files = [path for name in ("minigrad", "parallel") for path in (ROOT / name).rglob("*.py")]
    folders = {path.parent.relative_to(ROOT) for path in files}
    data = ROOT / "minigrad" / "course"  # exercises and workspace files travel as data
    missing = {
        ".".join(folder.parts)
        for folder in folders
        if ".".join(folder.parts) not in packages and data not in (ROOT / folder).parents
    }
    assert missing == set()
