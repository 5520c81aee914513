"""Rules against scalar loops written from the papers, and the front around them."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.optim import RULES, rules

RNG = np.random.default_rng(0)
GRADS = RNG.standard_normal((6, 5))


def run(rule, **settings):
    param, state = np.linspace(-1, 1, 5), {}
    for t, grad in enumerate(GRADS, start=1):
        rule(param, grad, state, 0.1, t, **settings)
    return param


def naive_sgd(momentum=0.0, weight_decay=0.0, nesterov=False):
    p, v = np.linspace(-1, 1, 5).tolist(), [0.0] * 5
    for grad in GRADS:
        for i in range(5):
            g = grad[i] + weight_decay * p[i]
            v[i] = momentum * v[i] + g
            p[i] -= 0.1 * (g + momentum * v[i] if nesterov else v[i])
    return p


def naive_adamw(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    p, m, v = np.linspace(-1, 1, 5).tolist(), [0.0] * 5, [0.0] * 5
    for t, grad in enumerate(GRADS, start=1):
        for i in range(5):
            p[i] -= 0.1 * weight_decay * p[i]
            m[i] = beta1 * m[i] + (1 - beta1) * grad[i]
            v[i] = beta2 * v[i] + (1 - beta2) * grad[i] ** 2
            p[i] -= 0.1 * (m[i] / (1 - beta1**t)) / (math.sqrt(v[i] / (1 - beta2**t)) + eps)
    return p


@pytest.mark.parametrize(
    "settings",
    [{}, {"momentum": 0.9}, {"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.9, "nesterov": True}],
)
def test_sgd(settings):
    np.testing.assert_allclose(run(rules.sgd, **settings), naive_sgd(**settings), rtol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.0}, {"weight_decay": 0.5}])
def test_adamw(settings):
    np.testing.assert_allclose(run(rules.adamw, **settings), naive_adamw(**settings), rtol=1e-12)


def test_the_first_step_of_adam_has_length_lr():
    """Without bias correction it would be sqrt(10) lr."""
    param = np.zeros(3)
    rules.adamw(param, np.array([1e-3, -5.0, 100.0]), {}, 0.1, 1, weight_decay=0.0)
    np.testing.assert_allclose(np.abs(param), 0.1, rtol=1e-4)
    uncorrected = 0.1 / math.sqrt(0.001)
    assert uncorrected == pytest.approx(3.162, abs=1e-3)


@pytest.mark.parametrize("name", RULES)
def test_rules_write_the_parameter_and_nothing_else(name):
    param, grad = np.ones(4, np.float32), np.full(4, 2.0, np.float32)
    same, state = param, {}
    for t in (1, 2):
        RULES[name](param, grad, state, 0.1, t)
    assert param is same
    assert param.dtype == np.float32
    assert np.all(param < 1.0)
    np.testing.assert_array_equal(grad, 2.0)
    assert all(array.dtype == np.float32 for array in state.values())


def parameters(*shapes):
    return [mg.nn.Parameter(RNG.standard_normal(shape)) for shape in shapes]


def test_a_parameter_without_gradient_stays():
    used, unused = parameters(3, 3)
    before = unused.data.copy()
    optimizer = mg.optim.AdamW([used, unused], lr=0.1)
    (used * used).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(unused.data, before)
    optimizer.zero_grad()
    assert used.grad is None


def test_an_optimizer_continues_from_its_state():
    def steps(optimizer, parameter, count):
        for _ in range(count):
            optimizer.zero_grad()
            (parameter**4).sum().backward()
            optimizer.step()

    (a,) = parameters(3)
    b = mg.nn.Parameter(a.data.copy())
    first, second = mg.optim.AdamW([a], lr=0.1), mg.optim.AdamW([b], lr=0.1)
    steps(first, a, 4)
    steps(second, b, 2)
    third = mg.optim.AdamW([b], lr=9.0)
    third.load_state_dict(second.state_dict())
    steps(third, b, 2)
    np.testing.assert_array_equal(a.data, b.data)


def test_refusals():
    with pytest.raises(ValueError, match="no parameters"):
        mg.optim.SGD([])
    with pytest.raises(ValueError, match="lr=-1"):
        mg.optim.SGD(parameters(2), lr=-1)
    with pytest.raises(ValueError, match="momentum > 0"):
        mg.optim.SGD(parameters(2), nesterov=True)
    other = mg.optim.AdamW(parameters(2))
    with pytest.raises(ValueError, match="state is for 1 parameters"):
        mg.optim.AdamW(parameters(2, 2)).load_state_dict(other.state_dict())


def test_clipping_scales_all_gradients_by_one_factor():
    first, second = parameters(3, (2, 2))
    unused = parameters(2)[0]
    (first.sum() * 3 + second.sum() * 4).backward()
    norm = mg.optim.clip_grad_norm_([first, second, unused], 1.0)
    assert norm == pytest.approx(math.sqrt(3 * 9 + 4 * 16))
    after = math.sqrt(float((first.grad.data**2).sum() + (second.grad.data**2).sum()))
    assert after == pytest.approx(1.0, rel=1e-12)
    assert first.grad.data[0] / second.grad.data[0, 0] == pytest.approx(3 / 4)
    assert mg.optim.clip_grad_norm_([first], 100.0) == pytest.approx(math.sqrt(27) / norm)
    with pytest.raises(ValueError, match="max_norm=0"):
        mg.optim.clip_grad_norm_([first], 0.0)


def test_warmup_cosine_by_its_formula():
    def schedule(step):
        return mg.optim.warmup_cosine(step, peak=2.0, warmup_steps=10, total_steps=110, final=0.2)

    assert schedule(0) == pytest.approx(0.2)
    assert schedule(9) == schedule(10) == 2.0
    assert schedule(60) == pytest.approx(1.1)
    assert schedule(110) == schedule(1000) == 0.2
    with pytest.raises(ValueError, match="warmup_steps=5"):
        mg.optim.warmup_cosine(0, peak=1.0, warmup_steps=5, total_steps=4)
