"""GELU's two forms: how exact they are, and that each backward belongs to its own forward.

The error of the exact form in float32 is measured against float64, as in tests/parity/test_gelu_accuracy.py, which
holds it against PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.special

from minigrad.kernels import cpu

LARGEST_ERROR = 6e-7
"""Of the exact form in float32, over [-10, 10]: a unit in the last place of the results from 4 to 8 is 4.8e-7."""


def exact(x: np.ndarray) -> np.ndarray:
    """x Phi(x) in float64."""
    wide = x.astype(np.float64)
    return wide * scipy.special.ndtr(wide)


def numeric_derivative(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, h: float = 0.02) -> np.ndarray:
    """Central difference of the eighth order: its own error is below 1e-12 for gelu."""
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    return sum(weight * (f(x + k * h) - f(x - k * h)) for k, weight in weights.items()) / h


@pytest.mark.parametrize("form", ["none", "tanh"])
def test_each_backward_is_the_derivative_of_its_own_forward(form: str) -> None:
    """To 1e-10, a ten-millionth of the 8.7e-4 by which the two derivatives differ."""
    x = np.linspace(-8, 8, 4001)
    expected = numeric_derivative(lambda x: cpu.gelu_forward(x, form), x)
    slope = cpu.gelu_forward_with_slope(x, form)[1]
    assert slope is not None
    for ours in (cpu.gelu_backward(np.ones_like(x), x, form), slope):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)


def test_swapped_forms_would_show() -> None:
    x = np.linspace(-8, 8, 4001)
    for form, other in (("none", "tanh"), ("tanh", "none")):
        numeric = numeric_derivative(lambda x, form=form: cpu.gelu_forward(x, form), x)
        swapped = np.abs(cpu.gelu_backward(np.ones_like(x), x, other) - numeric).max()
        assert 8.6e-4 < swapped < 8.8e-4


def test_exact_form_in_float32() -> None:
    x = np.linspace(-10, 10, 2_000_001, dtype=np.float32)
    error = np.abs(cpu.gelu_forward(x) - exact(x))
    assert error.max() < LARGEST_ERROR
    assert error[x < 0].max() < 2e-7


def test_exact_form_in_float32_in_the_far_tails() -> None:
    """x itself on the right, and on the left nothing, as far as float32 goes."""
    far = np.concatenate([np.linspace(10, 1000, 10_001), np.geomspace(1000, 3e38, 1001)]).astype(np.float32)
    np.testing.assert_array_equal(cpu.gelu_forward(far), far)
    np.testing.assert_array_equal(cpu.gelu_forward(-far), 0.0)
    np.testing.assert_array_equal(cpu.gelu_forward(np.array([np.inf], np.float32)), np.inf)


def test_float64_keeps_relative_precision_on_the_left() -> None:
    x = np.linspace(-20, 0, 4001)
    np.testing.assert_allclose(cpu.gelu_forward(x), exact(x), rtol=1e-12)
