"""Softmax in blocks of columns against the kernel on whole rows. Tolerances: docs/conventions.md, `same-math`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.kernels import cpu
from minigrad.kernels.online_softmax import column_blocks, join_block, online_softmax_backward, online_softmax_forward

SAME_MATH = {"float32": 1e-5, "float64": 1e-12}
dtypes = st.sampled_from(["float32", "float64"])


@given(st.integers(0, 4), st.integers(1, 20), st.integers(1, 8), dtypes, st.integers(0, 99))
def test_forward_and_backward_of_any_cut(rows: int, columns: int, block: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, grad = (rng.normal(scale=5, size=(rows, columns)).astype(dtype) for _ in range(2))
    x[rng.random(x.shape) < 0.2] = -np.inf
    x[:, -1] = 1.0  # a row of -inf alone has no softmax
    y = online_softmax_forward(x, block)
    dx = online_softmax_backward(grad, y, block)
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_allclose(y, cpu.softmax_forward(x), rtol=0, atol=SAME_MATH[dtype])
    scale = max(1.0, np.abs(dx).max(initial=0.0))
    np.testing.assert_allclose(dx, cpu.softmax_backward(grad, y), rtol=0, atol=10 * SAME_MATH[dtype] * scale)


@pytest.mark.parametrize("level", [1e4, -1e4])
def test_large_entries_stay_finite(level: float) -> None:
    x = np.random.default_rng(0).normal(size=(2, 9)) + level
    y = online_softmax_forward(x, 4)
    np.testing.assert_allclose(y.sum(axis=1), 1.0, rtol=1e-12)


def test_a_row_of_minus_infinity_is_nan_and_no_other() -> None:
    x = np.array([[-np.inf, -np.inf, -np.inf], [0.0, -np.inf, 0.0]])
    y = online_softmax_forward(x, 2)
    assert np.isnan(y[0]).all()
    np.testing.assert_array_equal(y[1], [0.5, 0.0, 0.5])


def test_the_pair_does_not_depend_on_the_order_of_the_blocks() -> None:
    x = np.random.default_rng(1).normal(scale=9, size=(3, 12))
    parts = [x[:, part] for part in column_blocks(12, 5)]

    def joined(blocks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        peak, total = np.full((3, 1), -np.inf), np.zeros((3, 1))
        for block in blocks:
            peak, total = join_block(peak, total, block)
        return peak, total

    np.testing.assert_array_equal(joined(parts)[0], joined(parts[::-1])[0])
    np.testing.assert_allclose(joined(parts)[1], joined(parts[::-1])[1], rtol=1e-12)


def test_blocks_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="block=0 must be at least 1"):
        online_softmax_forward(np.zeros((1, 2)), 0)
