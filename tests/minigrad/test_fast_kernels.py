"""Every fast CPU kernel against its plain form in naive_cpu.py.

Ragged shapes, blocks of a few elements on three threads, both dtypes, views with gaps, nothing and one element.
Tolerances: docs/conventions.md, rows `same-math` and `same-math-32`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigrad.kernels import cpu, naive_cpu, threads
from minigrad.kernels.exponential_cpu import exp2_is_vectorised
from minigrad.kernels.threads import use_threads

SAME_MATH = {"float32": 1e-5, "float64": 1e-12}
FORMS = ("none", "tanh")
EPS = 1e-5
Arrays = tuple[Any, ...]

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(["float32", "float64"])
layouts = st.sampled_from(["plain", "transposed", "every other"])
shapes = st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple)
row_shapes = st.tuples(st.lists(st.integers(0, 7), max_size=2), st.integers(1, 70)).map(lambda t: (*t[0], t[1]))


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    """Blocks of 20 elements on three threads, so that small arrays have several and a ragged last one."""
    with pytest.MonkeyPatch.context() as patch, use_threads(3):
        patch.setattr(threads, "BLOCK_ELEMENTS", 20)
        patch.setattr(threads, "THREADS_FROM", 0)
        yield


def draw(seed: int, shape: tuple[int, ...], dtype: str, layout: str = "plain", scale: float = 1.0) -> np.ndarray:
    """Normal numbers in an array whose memory lies in that order."""
    rng = np.random.default_rng([seed, *shape])
    if layout == "transposed":
        return (rng.normal(size=shape[::-1]) * scale).astype(dtype).T
    if layout == "every other":
        return (rng.normal(size=(*shape[:-1], 2 * shape[-1])) * scale).astype(dtype)[..., ::2]
    return (rng.normal(size=shape) * scale).astype(dtype)


def assert_same(ours: Any, plain: Any) -> None:
    if isinstance(plain, tuple):
        assert len(ours) == len(plain)
        for mine, other in zip(ours, plain, strict=True):
            assert_same(mine, other)
        return
    assert (ours.shape, ours.dtype) == (plain.shape, plain.dtype)
    scale = max(float(np.abs(plain).max(initial=0.0)), 1.0)
    np.testing.assert_allclose(ours, plain, rtol=0, atol=SAME_MATH[str(plain.dtype)] * scale)


@given(seeds, shapes, dtypes, layouts, st.sampled_from(FORMS))
def test_gelu(seed: int, shape: tuple[int, ...], dtype: str, layout: str, form: str) -> None:
    x, grad = draw(seed, shape, dtype, layout, 3.0), draw(seed + 1, shape, dtype)
    y, dx = naive_cpu.gelu_forward(x, form), naive_cpu.gelu_backward(grad, x, form)
    assert_same(cpu.gelu_forward(x, form), y)
    assert_same(cpu.gelu_backward(grad, x, form), dx)
    ours, slope = cpu.gelu_forward_with_slope(x, form)
    assert_same(ours, y)
    assert slope is not None
    assert_same(cpu.gelu_backward_from_slope(grad, slope), dx)


@given(seeds, row_shapes, dtypes, layouts)
def test_bias_gelu(seed: int, shape: tuple[int, ...], dtype: str, layout: str) -> None:
    x, bias, grad = draw(seed, shape, dtype, layout), draw(seed, shape[-1:], dtype), draw(seed + 1, shape, dtype)
    dx = naive_cpu.gelu_backward(grad, x + bias, "tanh")
    assert_same(cpu.bias_gelu_forward(x, bias), naive_cpu.gelu_forward(x + bias, "tanh"))
    assert_same(cpu.bias_gelu_backward(grad, x, bias), (dx, dx.sum(axis=tuple(range(dx.ndim - 1)))))


@example(seed=1, shape=(5, 50), dtype="float32", layout="plain", scale=1e4)
@given(seeds, row_shapes, dtypes, layouts, st.sampled_from([1.0, 30.0, 1e4]))
def test_softmax(seed: int, shape: tuple[int, ...], dtype: str, layout: str, scale: float) -> None:
    """Logits of a scale of 1e4 too: some blocks need their peak subtracted, others do not."""
    x, grad = draw(seed, shape, dtype, layout, scale), draw(seed + 1, shape, dtype, layout)
    for axis in (-1, len(shape) - 1, 0):
        if 0 in shape and shape[axis] == 0:
            continue  # a row of nothing has no largest entry
        y = naive_cpu.softmax_forward(x, axis)
        assert_same(cpu.softmax_forward(x, axis), y)
        assert_same(cpu.softmax_backward(grad, y, axis), naive_cpu.softmax_backward(grad, y, axis))


@given(seeds, st.integers(0, 30), st.integers(1, 70), dtypes, layouts, st.sampled_from([1.0, 30.0, 1e4]))
def test_cross_entropy(seed: int, rows: int, classes: int, dtype: str, layout: str, scale: float) -> None:
    logits, grad = draw(seed, (rows, classes), dtype, layout, scale), draw(seed, (rows,), dtype)
    targets = np.random.default_rng(seed).integers(0, classes, rows)
    plain = naive_cpu.cross_entropy_forward(logits, targets)
    assert_same(cpu.cross_entropy_forward(logits, targets), plain)
    assert_same(
        cpu.cross_entropy_backward(grad, logits, targets, plain[1]),
        naive_cpu.cross_entropy_backward(grad, logits, targets, plain[1]),
    )


@given(seeds, row_shapes, dtypes, layouts, st.sampled_from([0.0, 100.0]))
def test_norms(seed: int, shape: tuple[int, ...], dtype: str, layout: str, mean: float) -> None:
    x, grad = draw(seed, shape, dtype, layout) + mean, draw(seed + 1, shape, dtype, layout)
    weight, bias = draw(seed, shape[-1:], dtype), draw(seed + 1, shape[-1:], dtype)
    if mean:  # all rounding of x itself is worth 100 times as much in x - mean; the two sum in another order
        x, weight, bias = (array.astype("float64") for array in (x, weight, bias))
        grad = grad.astype("float64")
    _, x_hat, inverse = plain = naive_cpu.layer_norm_forward(x, weight, bias, EPS)
    if shape[-1] > 1:  # one element has no deviation: 0 / sqrt(eps), of nothing but rounding
        assert_close_norm(cpu.layer_norm_forward(x, weight, bias, EPS), plain, mean)
    arguments = (grad, x_hat, inverse, weight)
    assert_same(cpu.layer_norm_backward(*arguments), naive_cpu.layer_norm_backward(*arguments))
    _, x_hat, inverse = plain = naive_cpu.rms_norm_forward(x, weight, EPS)
    assert_same(cpu.rms_norm_forward(x, weight, EPS), plain)
    arguments = (grad, x_hat, inverse, weight)
    assert_same(cpu.rms_norm_backward(*arguments), naive_cpu.rms_norm_backward(*arguments))


def assert_close_norm(ours: Arrays, plain: Arrays, mean: float) -> None:
    """`assert_same`, with x - mean for the magnitude that a rounding error of x is relative to."""
    for mine, other in zip(ours, plain, strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        scale = max(float(np.abs(other).max(initial=0.0)), 1.0) * max(mean, 1.0)
        np.testing.assert_allclose(mine, other, rtol=0, atol=SAME_MATH[str(other.dtype)] * scale)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0)])
def test_nothing_and_one_element(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.5)
    assert_same(cpu.gelu_forward(x), np.asarray(naive_cpu.gelu_forward(x)))
    if shape in ((1,), (0, 3)):
        assert_same(cpu.softmax_forward(x), naive_cpu.softmax_forward(x))
        assert_same(cpu.softmax_backward(x, x), naive_cpu.softmax_backward(x, x))
    elif shape:  # a row of nothing has no largest entry
        with pytest.raises(ValueError, match="zero-size array"):
            cpu.softmax_forward(x)


def test_a_norm_of_no_rows_or_no_columns() -> None:
    for shape in ((0, 3), (3, 0)):
        x, w = np.ones(shape), np.ones(shape[-1])
        y, x_hat, inverse = cpu.layer_norm_forward(x, w, w, EPS)
        assert y.shape == x_hat.shape == shape
        dx, dweight, dbias = cpu.layer_norm_backward(x, x_hat, inverse, w)
        assert (dx.shape, dweight.shape, dbias.shape) == (shape, w.shape, w.shape)
        np.testing.assert_array_equal(dweight, 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits_stay_finite_and_infinite_ones_do_as_documented(dtype: str) -> None:
    x = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [-np.inf, 0.0, -np.inf]], dtype)
    expected = [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1, 0]]
    for rows in (slice(0, 1), slice(1, 2), slice(2, 3), slice(0, 3)):  # alone too: only one of two limits is passed
        np.testing.assert_allclose(cpu.softmax_forward(x[rows]), expected[rows], rtol=1e-6)
    losses, log_sum = cpu.cross_entropy_forward(x, np.array([1, 0, 1]))
    np.testing.assert_allclose(losses, [2e4, np.log(3), 0], atol=1e-3 if dtype == "float32" else 1e-10)
    assert np.isfinite(cpu.cross_entropy_backward(np.ones(3, dtype), x, np.array([1, 0, 1]), log_sum)).all()
    for row in ([-np.inf, -np.inf], [np.inf, 0.0]):
        some = np.array([row, [0.0, 0.0]], dtype)
        with pytest.warns(RuntimeWarning, match="invalid value"):
            y = cpu.softmax_forward(some)
        assert np.isnan(y[0]).any()
        np.testing.assert_array_equal(y[1], 0.5)
    y = cpu.softmax_forward(np.array([[np.nan, 0.0], [0.0, 0.0]], dtype))
    assert np.isnan(y[0]).all()
    np.testing.assert_array_equal(y[1], 0.5)


def test_a_long_row_keeps_its_digits() -> None:
    """300,000 float32 numbers with a mean: a sum that added them one by one would lose three digits."""
    x = draw(0, (2, 300_000), "float32") + np.float32(1)
    w = np.ones(x.shape[1], np.float32)
    y = cpu.layer_norm_forward(x, w, w, EPS)[0]
    wide = naive_cpu.layer_norm_forward(*(a.astype("float64") for a in (x, w, w)), EPS)[0]
    np.testing.assert_allclose(y, wide, rtol=0, atol=1e-5 * np.abs(wide).max())
    np.testing.assert_allclose(cpu.softmax_forward(x).sum(axis=1, dtype="float64"), 1.0, rtol=1e-5)


CALLS: dict[str, Callable[..., Any]] = {
    "gelu": lambda x, g: (cpu.gelu_forward(x), cpu.gelu_backward(g, x, "tanh"), cpu.gelu_forward_with_slope(x)),
    "softmax": lambda x, g: (cpu.softmax_forward(x), cpu.softmax_backward(g, x)),
    "cross_entropy": lambda x, g: cpu.cross_entropy_forward(x, np.arange(len(x))),
    "layer_norm": lambda x, g: cpu.layer_norm_forward(x, x[0], g[0], 1.0),
    "layer_norm_backward": lambda x, g: cpu.layer_norm_backward(g, x, x[:, :1], x[0]),
    "rms_norm": lambda x, g: cpu.rms_norm_forward(x, x[0], 1.0) + cpu.rms_norm_backward(g, x, x[:, :1], x[0]),
    "bias_gelu": lambda x, g: cpu.bias_gelu_backward(g, x, x[0]),
    "dropout": lambda x, g: (cpu.dropout(x, 0.3, 5, 7),),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_number_of_threads_changes_no_bit_and_inputs_stay(name: str) -> None:
    """Row `bits`: the blocks are the same, and what they leave is added in their order."""
    x, grad = draw(0, (30, 33), "float32"), draw(1, (30, 33), "float32")
    before = x.copy(), grad.copy()
    found = []
    for count in (1, 2, 5):
        with use_threads(count):
            found.append(CALLS[name](x, grad))
    for other in found[1:]:
        for mine, theirs in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(grad, before[1])


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_is_computed_in_float32(form: str) -> None:
    x = draw(0, (50,), "float16", scale=3.0)
    for ours, plain in (
        (cpu.gelu_forward(x, form), naive_cpu.gelu_forward(x.astype("float32"), form)),
        (cpu.gelu_backward(x, x, form), naive_cpu.gelu_backward(x.astype("float32"), x.astype("float32"), form)),
        (cpu.gelu_forward_with_slope(x, form)[0], naive_cpu.gelu_forward(x.astype("float32"), form)),
    ):
        assert ours.dtype == np.float16
        np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-6)


def test_cross_entropy_of_half_precision_logits_whose_exponentials_are_none() -> None:
    """exp(12) is beyond float16's 65504. Row `same-math` cannot hold here: eps of float16 is 1e-3."""
    logits, targets = draw(0, (4, 9), "float16", scale=20.0), np.array([0, 3, 8, 5])
    _, log_sum = cpu.cross_entropy_forward(logits, targets)
    ours = cpu.cross_entropy_backward(np.ones(4, "float16"), logits, targets, log_sum)
    wide = logits.astype("float64")
    plain = naive_cpu.cross_entropy_backward(
        np.ones(4), wide, targets, naive_cpu.cross_entropy_forward(wide, targets)[1]
    )
    assert ours.dtype == np.float16
    np.testing.assert_allclose(ours, plain, rtol=0, atol=2e-2)  # logits near 40 are rounded to 1/32


@pytest.mark.parametrize("mean", [0.0, 10.0, 100.0])
def test_norms_of_half_precision_rows_whose_sums_are_beyond_it(mean: float) -> None:
    """1024 numbers near 100 add up to 1e5, and their squares to 1e7. Within two roundings of float16 each."""
    x = (draw(0, (8, 1024), "float64") + mean).astype("float16")
    weight, bias, grad = (draw(seed, shape, "float16") for seed, shape in ((1, (1024,)), (2, (1024,)), (3, (8, 1024))))
    wide, wide_weight, wide_bias, wide_grad = (a.astype("float64") for a in (x, weight, bias, grad))
    ours = cpu.layer_norm_forward(x, weight, bias, EPS), cpu.rms_norm_forward(x, weight, EPS)
    plain = (
        naive_cpu.layer_norm_forward(wide, wide_weight, wide_bias, EPS),
        naive_cpu.rms_norm_forward(wide, wide_weight, EPS),
    )
    back = cpu.layer_norm_backward(grad, *ours[0][1:], weight), cpu.rms_norm_backward(grad, *ours[1][1:], weight)
    plain_back = (
        naive_cpu.layer_norm_backward(wide_grad, *plain[0][1:], wide_weight),
        naive_cpu.rms_norm_backward(wide_grad, *plain[1][1:], wide_weight),
    )
    for mine, other in zip((*ours, *back), (*plain, *plain_back), strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a.dtype == np.float16
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-3 * max(np.abs(b).max(), 1e-3))


def test_a_numpy_that_does_not_tell_of_its_loops_computes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy 2.0 has no numpy.lib.introspect."""
    monkeypatch.setitem(sys.modules, "numpy.lib.introspect", None)
    exp2_is_vectorised.cache_clear()
    try:
        x = draw(0, (3, 5), "float32")
        assert_same(cpu.softmax_forward(x), naive_cpu.softmax_forward(x))
    finally:
        exp2_is_vectorised.cache_clear()


def test_an_unknown_form_is_refused() -> None:
    for call in (cpu.gelu_forward, cpu.gelu_forward_with_slope, lambda x, form: cpu.gelu_backward(x, x, form)):
        with pytest.raises(ValueError, match="approximate='erf' is not known; use 'none' or 'tanh'"):
            call(np.ones(2), "erf")


@settings(max_examples=20)
@given(seeds, st.integers(0, 100), dtypes)
def test_dropout_keeps_no_mask_and_blocks_make_no_difference(seed: int, size: int, dtype: str) -> None:
    x = draw(seed, (size,), dtype) + 5  # no zeros
    y = cpu.dropout(x, 0.3, seed, 2**40 + 1)
    kept = y != 0
    np.testing.assert_array_equal(y[kept], x[kept] * x.dtype.type(1 / 0.7))
    grad = np.ones_like(x)
    np.testing.assert_array_equal(cpu.dropout(grad, 0.3, seed, 2**40 + 1) != 0, kept)
    whole = cpu.dropout(np.ones(size + 7, dtype), 0.3, seed, 2**40 + 1)
    np.testing.assert_array_equal(whole[:size] != 0, kept)


def test_dropout_drops_a_share_and_another_call_other_elements() -> None:
    """Row `sample`: 5 standard errors of 40,000 draws are 0.011."""
    kept = cpu.dropout(np.ones(40_000), 0.25, 3, 1) != 0
    assert abs(kept.mean() - 0.75) < 0.011
    both = kept & (cpu.dropout(np.ones(40_000), 0.25, 3, 2) != 0)
    assert abs(both.mean() - 0.75**2) < 0.0125
    assert (cpu.dropout(np.ones(9), 0.0, 3, 1) == 1).all()
