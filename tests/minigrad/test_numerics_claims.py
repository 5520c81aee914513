"""What happens at the edges: ties, ends, zeros, and numbers whose exponentials overflow or vanish."""

import numpy as np
import pytest
from scipy import special

import minigrad as mg
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)


def leaf(numbers, dtype=np.float64):
    return mg.Tensor(np.array(numbers, dtype=dtype), requires_grad=True)


# ------------------------------------------------------------------------------------------------ ties and ends


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_two_equal_operands_share_the_gradient_evenly(name):
    """Exactly: halves."""
    a, b = leaf([1.0, 2.0, 3.0]), leaf([2.0, 2.0, 2.0])
    cotangent = np.array([3.0, 5.0, 7.0])
    getattr(a, name)(b).backward(cotangent)
    share = np.array([0.0, 0.5, 1.0]) if name == "maximum" else np.array([1.0, 0.5, 0.0])
    np.testing.assert_array_equal(a.grad.data, share * cotangent)
    np.testing.assert_array_equal(b.grad.data, (1.0 - share) * cotangent)


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_equal_extremes_share_the_gradient_evenly(name):
    """Row `same-math`: thirds."""
    sign = 1.0 if name == "amax" else -1.0
    x = leaf(sign * np.array([[2.0, 1.0, 2.0, 2.0], [1.0, 4.0, 4.0, 0.0]]))
    getattr(x, name)(1).backward(np.array([3.0, 5.0]))
    np.testing.assert_allclose(x.grad.data, [[1.0, 0.0, 1.0, 1.0], [0.0, 2.5, 2.5, 0.0]], rtol=1e-12)
    x.zero_grad()
    getattr(x, name)().backward(np.float64(6.0))  # over everything: the 4 twice
    np.testing.assert_allclose(x.grad.data, [[0.0] * 4, [0.0, 3.0, 3.0, 0.0]], rtol=1e-12)


@pytest.mark.parametrize(
    ("ends", "passes"),
    [
        ({"min": -1.0, "max": 2.0}, [0, 1, 1, 1, 0]),
        ({"min": -1.0}, [0, 1, 1, 1, 1]),
        ({"max": 2.0}, [1, 1, 1, 1, 0]),
        ({"min": 2.0, "max": 2.0}, [0, 0, 0, 1, 0]),
    ],
)
def test_clip_passes_the_gradient_at_its_very_ends(ends, passes):
    """Exactly."""
    x, cotangent = leaf([-1.5, -1.0, 0.0, 2.0, 2.5]), RNG.standard_normal(5)
    x.clip(**ends).backward(cotangent)
    np.testing.assert_array_equal(x.grad.data, cotangent * passes)


def test_the_gradient_of_a_norm_is_0_at_the_origin():
    """Exactly; and the rows beside it are unit vectors, row `same-math`."""
    x = leaf([[0.0, 0.0], [3.0, 4.0]])
    x.norm(1).backward(np.array([7.0, 5.0]))
    np.testing.assert_allclose(x.grad.data, [[0.0, 0.0], [3.0, 4.0]], rtol=1e-12)
    origin = leaf(np.zeros((2, 3)))
    origin.norm().backward()
    np.testing.assert_array_equal(origin.grad.data, 0.0)


# ----------------------------------------------------------------------------------- exponentials that overflow

LOGITS = np.array([[1e4, 0.0, -1e4], [1e4, 1e4 - 1.0, 1e4 - 2.0], [-1e4, -1e4 - 3.0, -1e4], [0.1, 0.2, 0.3]])
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}  # rows `outside` and `same-math-32`


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_logsumexp_of_logits_of_ten_thousand(dtype):
    x, tolerance = leaf(LOGITS, dtype), TOLERANCE[dtype]
    exact = x.data.astype(np.float64)
    found = x.logsumexp(1)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.data, special.logsumexp(exact, axis=1), rtol=tolerance)
    found.backward(np.array([1.0, 2.0, 3.0, 4.0], dtype))
    if dtype is np.float64:  # in float32 the sum near 10^4 keeps three digits behind the point
        expected = special.softmax(exact, axis=1) * np.array([[1.0], [2.0], [3.0], [4.0]])
        np.testing.assert_allclose(x.grad.data, expected, rtol=tolerance, atol=tolerance)
    assert np.isfinite(x.grad.data).all()
    assert np.isfinite(x.logsumexp().data)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_log_softmax_of_logits_of_ten_thousand(dtype):
    x, tolerance = leaf(LOGITS, dtype), TOLERANCE[dtype]
    exact, cotangent = x.data.astype(np.float64), RNG.standard_normal(LOGITS.shape)
    found = F.log_softmax(x)
    np.testing.assert_allclose(found.data, special.log_softmax(exact, axis=1), rtol=tolerance, atol=tolerance)
    found.backward(cotangent.astype(dtype))
    expected = cotangent - special.softmax(exact, axis=1) * cotangent.sum(1, keepdims=True)
    np.testing.assert_allclose(x.grad.data, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax, lambda x: x.logsumexp(1)])
def test_second_derivatives_at_logits_of_ten_thousand_are_finite(function):
    x = leaf(LOGITS)
    (first,) = mg.grad((function(x) * RNG.standard_normal(function(x).shape)).sum(), x, create_graph=True)
    (second,) = mg.grad((first * RNG.standard_normal(first.shape)).sum(), x)
    assert np.isfinite(second.data).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_softplus_at_a_thousand(dtype):
    """log(1 + e^x) written as such is infinite at 1000, and 0 where e^x is below half a rounding step of 1."""
    x, tolerance = leaf([-1000.0, -40.0, 0.0, 40.0, 1000.0], dtype), TOLERANCE[dtype]
    found = F.softplus(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.data, [0.0, np.exp(-40.0), np.log(2.0), 40.0, 1000.0], rtol=tolerance)
    found.sum().backward()
    np.testing.assert_allclose(x.grad.data, [0.0, np.exp(-40.0), 0.5, 1.0, 1.0], rtol=tolerance)


def test_binary_cross_entropy_at_a_thousand():
    """Row `outside`: a sure mistake costs what its logit says, a sure success nothing."""
    logits = leaf([1000.0, -1000.0, 1000.0, -1000.0])
    loss = F.binary_cross_entropy_with_logits(logits, np.array([1.0, 0.0, 0.0, 1.0]))
    assert loss.item() == pytest.approx(500.0, rel=1e-10)
    loss.backward()
    np.testing.assert_allclose(logits.grad.data * 4.0, [0.0, 0.0, 1.0, -1.0], rtol=1e-10)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sigmoid_keeps_its_relative_precision_far_to_the_left(dtype):
    """At -30 it is 9.36e-14; (1 + tanh(x/2)) / 2 gives 0 there in float32, whose logarithm is -infinity."""
    x, tolerance = leaf([-80.0, -30.0, -17.0, -1.0, 0.0, 2.0, 30.0], dtype), TOLERANCE[dtype]
    exact, found = x.data.astype(np.float64), x.sigmoid()
    assert found.dtype == dtype
    assert found.data[1] == pytest.approx(9.357623e-14, rel=1e-5)
    np.testing.assert_allclose(found.data, special.expit(exact), rtol=tolerance)
    np.testing.assert_allclose(found.log().data, special.log_expit(exact), rtol=tolerance, atol=tolerance)
    found.log().sum().backward()
    np.testing.assert_allclose(x.grad.data, special.expit(-exact), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sigmoid_and_its_slope_at_a_thousand(dtype):
    """Exactly, and without a warning, which would be an error here."""
    x = leaf([-1000.0, 1000.0], dtype)
    found = x.sigmoid()
    np.testing.assert_array_equal(found.data, [0.0, 1.0])
    found.sum().backward()
    np.testing.assert_array_equal(x.grad.data, 0.0)


# ------------------------------------------------------------------------------------------------------ padding


def test_max_pooling_never_chooses_its_padding():
    """Exactly: all numbers are negative, so a padding with zeros would win at every border."""
    image = -1.0 - RNG.random((1, 2, 4, 4))
    x = leaf(image)
    found = F.max_pool2d(x, 3, stride=2, padding=1)
    rows = [slice(0, 2), slice(1, 4)]  # what the windows see of the image
    expected = [[image[:, :, r, c].max(axis=(2, 3)) for c in rows] for r in rows]
    np.testing.assert_array_equal(found.data, np.array(expected).transpose(2, 3, 0, 1))
    cotangent = RNG.standard_normal(found.shape)
    found.backward(cotangent)
    assert x.grad.data.sum() == pytest.approx(cotangent.sum(), rel=1e-12)  # none of it went to the padding
