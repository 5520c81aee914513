"""The exact GELU's float32 error against SciPy in float64 is no larger than PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from minigrad.kernels import cpu

torch = pytest.importorskip("torch")

PLACES = {
    "[-10, 10]": np.linspace(-10, 10, 2_000_001),
    "[-10, 0]": np.linspace(-10, 0, 1_000_001),
    "left tail": -np.geomspace(10, 1e30, 100_001),
    "right tail": np.geomspace(10, 1e30, 100_001),
}


@pytest.mark.parametrize("place", PLACES)
def test_error_of_exact_gelu_in_float32(place: str) -> None:
    x = PLACES[place].astype(np.float32)
    wide = x.astype(np.float64)
    expected = wide * scipy.special.ndtr(wide)
    ours, theirs = (
        np.abs(y - expected).max() for y in (cpu.gelu_forward(x), torch.nn.functional.gelu(torch.tensor(x)).numpy())
    )
    print(f"largest error of exact gelu in float32 over {place}: minigrad {ours:.3g}, PyTorch {theirs:.3g}")
    assert ours <= theirs
