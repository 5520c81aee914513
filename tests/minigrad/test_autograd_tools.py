"""Hooks, anomaly detection, the split backward, Jacobian products."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.anomaly import AnomalyError, detect_anomaly
from minigrad.jacobian import jacobian, jvp, vjp
from minigrad.split_backward import split_backward

RNG = np.random.default_rng(0)


def leaf(*shape):
    return mg.Tensor(RNG.standard_normal(shape), requires_grad=True)


def test_a_hook_sees_the_complete_gradient_and_may_replace_it():
    x = leaf(3)
    y = x * 2
    seen = []
    y.register_hook(seen.append)
    (y * 3 + y * 4).sum().backward(retain_graph=True)
    assert [g.tolist() for g in seen] == [[7.0, 7.0, 7.0]]
    np.testing.assert_array_equal(x.grad.data, 14.0)
    x.zero_grad()
    remove = y.register_hook(lambda g: g * 0.5)
    (y * 2).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad.data, 2.0)
    remove()
    x.zero_grad()
    (y * 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, 4.0)


def test_a_hook_on_a_leaf_changes_what_is_collected():
    x = leaf(2)
    x.register_hook(lambda g: g * 10)
    (x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, 10.0)


def test_ready_hooks_fire_once_when_all_uses_are_in_and_in_the_order_of_the_backward():
    model = nn.GPT(nn.GPTConfig(7, 4, n_layer=3, n_head=1, n_embd=4), rng=np.random.default_rng(0), dtype=np.float64)
    order, names = [], {id(p): name for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: order.append((names[id(p)], p.grad.data.copy())))
    model.loss(RNG.integers(0, 7, (2, 4)), RNG.integers(0, 7, (2, 4))).backward()
    assert sorted(name for name, _ in order) == sorted(names.values())
    for name, gradient in order:
        np.testing.assert_array_equal(gradient, dict(model.named_parameters())[name].grad.data)
    position = {name: i for i, (name, _) in enumerate(order)}
    last = [position[f"blocks.{b}.expand.weight"] for b in range(3)]
    assert last == sorted(last, reverse=True)  # the last block is ready first
    assert position["norm.weight"] < position["blocks.2.contract.weight"]
    assert position["token_embedding.weight"] > position["blocks.0.attention.qkv.weight"]  # tied: after both uses


def test_hooks_where_they_would_never_fire():
    with pytest.raises(RuntimeError, match="never be called"):
        mg.Tensor([1.0]).register_hook(print)
    with pytest.raises(RuntimeError, match="needs a leaf"):
        (leaf(1) * 2).register_post_accumulate_grad_hook(print)


def test_anomaly_in_the_forward_names_operation_and_line():
    x = mg.Tensor(np.array([[1.0, 2.0], [0.0, -1.0]]), requires_grad=True)
    with detect_anomaly(), np.errstate(all="ignore"):
        x.exp().log()
        with pytest.raises(AnomalyError) as caught:
            x.log()
    message = str(caught.value)
    assert "forward of Log made 2 of 4 numbers not finite, first at index (1, 0)" in message
    assert "[-1, 2]" in message
    assert "test_autograd_tools.py:" in message


def test_anomaly_in_the_backward_names_the_line_of_the_forward():
    x = mg.Tensor(np.array([0.0, 1.0]), requires_grad=True)
    with detect_anomaly(), np.errstate(all="ignore"), pytest.raises(AnomalyError) as caught:
        x.sqrt().sum().backward()
    assert "backward of Sqrt made 1 of 2 numbers not finite" in str(caught.value)
    assert "test_autograd_tools.py:" in str(caught.value)


def test_nothing_is_watched_outside_the_block():
    with detect_anomaly():
        pass
    with np.errstate(all="ignore"):
        assert mg.Tensor([0.0]).log().item() == -np.inf


def model_and_input():
    model = nn.Sequential(nn.Linear(4, 5, rng=np.random.default_rng(0), dtype=np.float64), nn.GELU(),
                          nn.LayerNorm(5, dtype=np.float64),
                          nn.Linear(5, 4, bias=False, rng=np.random.default_rng(1), dtype=np.float64))  # fmt: skip
    model[3].weight.data[...] = model[0].weight.data.T
    return model, mg.Tensor(np.random.default_rng(2).standard_normal((3, 4)), requires_grad=True)


def test_the_two_halves_make_the_whole():
    """Row `k-ranks`: sums in another order at most."""
    cotangent = RNG.standard_normal((3, 4))
    model, x = model_and_input()
    (model(x) * model[0](x)[:, :4]).backward(cotangent)
    whole = {name: p.grad.data for name, p in model.named_parameters()} | {"x": x.grad.data}

    model, x = model_and_input()
    (dx,), later = split_backward(model(x) * model[0](x)[:, :4], [x], cotangent)
    np.testing.assert_allclose(dx, whole.pop("x"), rtol=1e-12)
    assert all(p.grad is None for p in model.parameters())
    later.run()
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.grad.data, whole[name], rtol=1e-12, atol=1e-15)
    assert x.grad is None
    with pytest.raises(RuntimeError, match="computed already"):
        later.run()


def test_the_first_half_computes_no_weight_gradient(monkeypatch):
    from minigrad.ops.linear import Linear

    asked = []
    original = Linear.backward
    monkeypatch.setattr(Linear, "backward", lambda self, *a: asked.append(self.needs) or original(self, *a))
    model, x = model_and_input()
    _, later = split_backward(model(x).sum(), [x])
    assert asked == [(True, False, False)]
    later.run()
    assert asked[1:] == [(False, True, True)]


def test_jacobian_products_against_the_jacobian():
    weights = mg.Tensor(RNG.standard_normal((4, 3)))

    def function(x):
        return (weights @ x).tanh() * x.sum()

    x, v, u = mg.Tensor(RNG.standard_normal(3)), RNG.standard_normal(4), RNG.standard_normal(3)
    whole = jacobian(function, x).numpy()
    assert whole.shape == (4, 3)
    step = 1e-6
    numeric = np.stack(
        [(function(x + step * e).numpy() - function(x - step * e).numpy()) / (2 * step) for e in np.eye(3)], axis=1
    )
    np.testing.assert_allclose(whole, numeric, atol=1e-8)
    np.testing.assert_allclose(vjp(function, x, v)[1].numpy(), v @ whole, rtol=1e-12)
    np.testing.assert_allclose(jvp(function, x, u)[1].numpy(), whole @ u, rtol=1e-12)


def test_jacobian_products_of_constant_and_linear_functions():
    x = mg.Tensor(np.ones(2))
    assert jvp(lambda x: x * 3, x, np.array([1.0, 2.0]))[1].tolist() == [3.0, 6.0]
    assert jacobian(lambda x: x * 0 + 1, x).tolist() == [[0, 0], [0, 0]]
