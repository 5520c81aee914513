"""CPU kernels against SciPy, naive loops and closed forms."""

import numpy as np
import pytest
import scipy.special

from minigrad.kernels import cpu

RNG = np.random.default_rng(0)


def test_normal_cdf_against_scipy_in_float64():
    """Row `outside`; and the far left tail keeps relative precision, which 1 + erf would lose at -9."""
    x = np.concatenate([np.linspace(-37, 37, 20001), [0.0, -0.0]])
    ours, reference = cpu.normal_cdf(x)[0], scipy.special.ndtr(x)
    np.testing.assert_allclose(ours, reference, rtol=0, atol=5e-16)
    np.testing.assert_allclose(ours[x > -20], reference[x > -20], rtol=1e-12)


def test_normal_cdf_in_float32():
    x = np.linspace(-10, 10, 20001, dtype=np.float32)
    ours = cpu.normal_cdf(x)[0]
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, scipy.special.ndtr(x.astype(np.float64)), rtol=0, atol=2e-7)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_backward_is_the_derivative_of_its_own_forward(approximate):
    x = np.linspace(-6, 6, 1001)
    step = 1e-5
    numeric = (cpu.gelu_forward(x + step, approximate) - cpu.gelu_forward(x - step, approximate)) / (2 * step)
    np.testing.assert_allclose(cpu.gelu_backward(np.ones_like(x), x, approximate), numeric, atol=1e-9)


def test_the_two_forms_of_gelu_differ_by_what_is_known_and_mixing_them_would_show():
    x = np.linspace(-6, 6, 100001)
    ones = np.ones_like(x)
    difference = np.abs(cpu.gelu_backward(ones, x, "none") - cpu.gelu_backward(ones, x, "tanh")).max()
    assert 8e-4 < difference < 9e-4


def test_gelu_at_the_ends():
    x = np.array([-40.0, -0.0, 0.0, 40.0])
    for form in ("none", "tanh"):
        np.testing.assert_allclose(cpu.gelu_forward(x, form), [0, 0, 0, 40], atol=1e-300)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_against_scipy_and_at_large_logits(axis):
    x = RNG.standard_normal((3, 4, 5)) * 10
    np.testing.assert_allclose(cpu.softmax_forward(x, axis), scipy.special.softmax(x, axis), rtol=1e-13)
    extreme = np.array([[1e4, -1e4, 0.0]])
    np.testing.assert_array_equal(cpu.softmax_forward(extreme), [[1.0, 0.0, 0.0]])


def test_softmax_backward_against_the_jacobian():
    y = cpu.softmax_forward(RNG.standard_normal(5))
    grad = RNG.standard_normal(5)
    jacobian = np.diag(y) - np.outer(y, y)
    np.testing.assert_allclose(cpu.softmax_backward(grad, y), jacobian @ grad, atol=1e-15)


def test_cross_entropy_against_its_definition_and_at_large_logits():
    logits, targets = RNG.standard_normal((6, 4)), RNG.integers(0, 4, 6)
    losses, log_sum = cpu.cross_entropy_forward(logits, targets)
    probabilities = scipy.special.softmax(logits, axis=1)
    np.testing.assert_allclose(losses, -np.log(probabilities[np.arange(6), targets]), rtol=1e-12)
    one_hot = np.eye(4)[targets]
    np.testing.assert_allclose(
        cpu.cross_entropy_backward(np.ones(6), logits, targets, log_sum), probabilities - one_hot, atol=1e-14
    )
    assert np.isfinite(cpu.cross_entropy_forward(np.array([[1e4, -1e4]]), np.array([1]))[0]).all()


def test_layer_norm_rows_have_mean_0_and_variance_1():
    x = RNG.standard_normal((5, 64)) * 3 + 7
    y, _, _ = cpu.layer_norm_forward(x, np.ones(64), np.zeros(64), 0.0)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-13)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-12)


def test_embedding_backward_adds_repeated_rows():
    grad, indices = RNG.standard_normal((4, 5, 3)), RNG.integers(0, 6, (4, 5))
    expected = np.zeros((7, 3))
    for place in np.ndindex(4, 5):
        expected[indices[place]] += grad[place]
    np.testing.assert_allclose(cpu.embedding_backward(grad, indices, 7), expected, atol=1e-14)


def test_attention_against_a_loop():
    query, key, value = RNG.standard_normal((3, 2, 4, 3))
    out, _ = cpu.attention_forward(query, key, value, causal=True)
    for head in range(2):
        for t in range(4):
            scores = query[head, t] @ key[head, : t + 1].T / np.sqrt(3)
            np.testing.assert_allclose(out[head, t], scipy.special.softmax(scores) @ value[head, : t + 1], rtol=1e-12)


def test_kernels_leave_their_inputs_alone():
    """A kernel that wrote into its gradient would corrupt every other user of that array."""
    x, grad = RNG.standard_normal((2, 3, 6)), RNG.standard_normal((2, 3, 6))
    w, b = RNG.standard_normal(6), RNG.standard_normal(6)
    before = [a.copy() for a in (x, grad, w, b)]
    for form in ("none", "tanh"):
        cpu.gelu_forward(x, form)
        cpu.gelu_backward(grad, x, form)
    y = cpu.softmax_forward(x)
    cpu.softmax_backward(grad, y)
    _, x_hat, inverse = cpu.layer_norm_forward(x, w, b, 1e-5)
    cpu.layer_norm_backward(grad, x_hat, inverse, w)
    out, weights = cpu.packed_attention_forward(x, 2, True)
    cpu.packed_attention_backward(np.ones_like(out), x, out, weights, 2)
    for array, copy in zip((x, grad, w, b), before, strict=True):
        np.testing.assert_array_equal(array, copy)
