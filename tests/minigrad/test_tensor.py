"""Tensor against NumPy, and its refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg


@pytest.mark.parametrize(
    ("data", "dtype"),
    [(1.0, np.float32), ([1, 2], np.int64), ([1.5, 2], np.float32), (np.float64(2), np.float64), (True, np.bool_),
     (np.zeros(2, np.float64), np.float64), (np.zeros(2, np.float16), np.float16)],
)  # fmt: skip
def test_dtype_of_what_is_given(data, dtype):
    assert mg.Tensor(data).dtype == dtype


@pytest.mark.parametrize("data", ["text", [1.0, "two"], [[1, 2], [3]], None, object(), {"a": 1}])
def test_data_that_is_not_numeric(data):
    with pytest.raises(TypeError, match="Tensor data must be num"):
        mg.Tensor(data)


def test_integers_cannot_require_a_gradient():
    with pytest.raises(TypeError, match="floating dtype"):
        mg.Tensor([1, 2], requires_grad=True)


@pytest.mark.parametrize("operation", ["__add__", "__sub__", "__mul__", "__truediv__"])
def test_shapes_that_do_not_broadcast(operation):
    a, b = mg.Tensor(np.ones((2, 3))), mg.Tensor(np.ones((4,)))
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(4,\)"):
        getattr(a, operation)(b)


def test_matmul_shapes():
    with pytest.raises(ValueError, match=r"MatMul does not fit shapes \(2, 3\) and \(2, 3\)"):
        mg.Tensor(np.ones((2, 3))) @ mg.Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match="at least one axis"):
        mg.Tensor(1.0) @ mg.Tensor(1.0)


shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4)


@given(shapes=shapes, data=st.data())
def test_broadcasting_and_its_gradient(shapes, data):
    """Value as NumPy's; the gradient of a sum is, for each operand, the other one summed over the repeats."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    arrays = [rng.standard_normal(shape) for shape in shapes.input_shapes]
    a, b = (mg.Tensor(x, requires_grad=True) for x in arrays)
    out = a * b
    np.testing.assert_array_equal(out.data, arrays[0] * arrays[1])
    cotangent = rng.standard_normal(shapes.result_shape)
    out.backward(cotangent)
    for tensor, other in ((a, arrays[1]), (b, arrays[0])):
        assert tensor.grad.shape == tensor.shape
        expected = np.broadcast_to(other, shapes.result_shape) * cotangent
        np.testing.assert_allclose(tensor.grad.data.sum(), expected.sum(), atol=1e-12)


def test_arithmetic_with_numbers_and_arrays_from_both_sides():
    x = mg.Tensor([1.0, 2.0])
    for result, expected in (
        (1 + x, [2, 3]), (1 - x, [0, -1]), (2 * x, [2, 4]), (2 / x, [2, 1]), (x**2, [1, 4]), (2**x, [2, 4]),
        (np.array([1.0, 2.0], np.float32) * x, [1, 4]), (x - np.array([1.0, 1.0], np.float32), [0, 1]),
    ):  # fmt: skip
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)
        assert result.dtype == np.float32


def test_float32_beside_integers_stays_float32_and_beside_float64_is_cast_up_and_back():
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    assert (x * mg.Tensor([1, 2])).dtype == np.float32
    y = x * mg.Tensor(np.array([1.0, 2.0]))
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32


def test_reductions_as_pytorch_has_them():
    data = np.random.default_rng(0).standard_normal((3, 4))
    x = mg.Tensor(data)
    np.testing.assert_allclose(x.var().item(), data.var(ddof=1))
    np.testing.assert_allclose(x.var(0, correction=0).numpy(), data.var(0))
    np.testing.assert_allclose(x.std(1, keepdim=True).numpy(), data.std(1, ddof=1, keepdims=True))
    assert (x.max().item(), x.min().item()) == (data.max(), data.min())
    np.testing.assert_array_equal(x.amin(1).numpy(), data.min(1))
    np.testing.assert_array_equal(x.argmax(1).numpy(), data.argmax(1))
    np.testing.assert_array_equal(x.sum(axis=0, keepdims=True).numpy(), data.sum(0, keepdims=True))


def test_shape_operations_against_numpy():
    data = np.arange(24.0).reshape(2, 3, 4)
    x = mg.Tensor(data)
    np.testing.assert_array_equal(x.transpose(0, 2).numpy(), data.swapaxes(0, 2))
    np.testing.assert_array_equal(x.permute(2, 0, 1).numpy(), data.transpose(2, 0, 1))
    np.testing.assert_array_equal(x.T.numpy(), data.T)
    assert x.flatten(1).shape == (2, 12)
    assert x.unsqueeze(-1).shape == (2, 3, 4, 1)
    assert x[:, :1].squeeze(1).shape == (2, 4)
    assert mg.stack([x, x], 1).shape == (2, 2, 3, 4)
    assert mg.cat([x, x], -1).shape == (2, 3, 8)
    assert x.expand(5, -1, -1, -1).shape == (5, 2, 3, 4)
    assert (x.view(6, 4).shape, x.size(1), x.numel(), len(x)) == ((6, 4), 3, 24, 2)


def test_wrong_axes():
    with pytest.raises(IndexError, match="dim=3 is out of range"):
        mg.Tensor(np.ones((2, 3))).sum(3)
    with pytest.raises(ValueError, match="each of the 2 axes once"):
        mg.Tensor(np.ones((2, 3))).permute(0, 0)


def test_numpy_of_a_tensor_with_graph():
    with pytest.raises(RuntimeError, match="detach"):
        mg.Tensor([1.0], requires_grad=True).numpy()


def test_repr():
    assert repr(mg.Tensor([1.0], requires_grad=True) * 2) == "Tensor([2.], grad_fn=Mul)"
    assert repr(mg.Tensor(np.zeros(1))) == "Tensor([0.], dtype=float64)"


def test_clone_is_independent_and_differentiable():
    x = mg.Tensor([1.0], requires_grad=True)
    y = x.clone()
    assert not np.shares_memory(x.data, y.data)
    y.sum().backward()
    assert x.grad.item() == 1.0
