"""The normal distribution function on NumPy arrays, which has no erf."""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array

# exp(z^2) erfc(z) = t * sum_k c_k T_k(2t - 1) with t = 2.5 / (2.5 + z), for z >= 0: a Chebyshev series in a
# variable that maps [0, inf) to (0, 1]. All 23 terms reach float64, the first 10 reach float32.
# tests/minigrad/test_kernels_cpu.py compares both with SciPy.
ERFCX_SCALE = 2.5
ERFCX_CHEBYSHEV = (
    0.5161146659429087, 0.37122506385314763, 0.09565860050094888, 0.016127840227136956,
    0.0011091421554197008, -0.00019298822980875048, -4.5951311375292745e-05, 2.2072433930719575e-06,
    1.512157770410061e-06, -4.2198640343445904e-08, -5.4812600922470477e-08, 2.6004196938261546e-09,
    2.1572867903903735e-09, -2.2115344708952856e-10, -8.333770790382215e-11, 1.702725694026707e-11,
    2.541975276965951e-12, -1.1332406141894187e-12, -3.7716658485896965e-15, 6.228958476541476e-14,
    -8.281943704471266e-15, -2.3890208118566723e-15, 8.630666210704667e-16,
)  # fmt: skip
ERFCX_POWERS = {
    np.dtype(np.float32): np.polynomial.chebyshev.cheb2poly(ERFCX_CHEBYSHEV[:10])[::-1].tolist(),
    np.dtype(np.float64): np.polynomial.chebyshev.cheb2poly(ERFCX_CHEBYSHEV)[::-1].tolist(),
}


def normal_cdf(x: Array) -> tuple[Array, Array]:
    """The normal distribution function Phi(x) and the factor exp(-x^2 / 2) that it was made with.

    NumPy has no erf. Phi(x) = erfc(-x / sqrt 2) / 2, and for a negative x this is computed as a product, not as
    `1 + erf`, so that the far left tail keeps its relative precision instead of cancelling to zero.

    Args:
        x: any shape, float16, float32 or float64.

    Returns:
        (Phi(x), exp(-x^2 / 2)), both of x's shape and dtype; absolute error below 2e-7 and 4e-16.
    """
    if x.dtype == np.float16:  # 11 bits of precision are not enough on the way
        wide = normal_cdf(x.astype(np.float32))
        return wide[0].astype(x.dtype), wide[1].astype(x.dtype)
    z = np.abs(x)
    z *= math.sqrt(0.5)
    t = ERFCX_SCALE / (z + ERFCX_SCALE)
    u = 2.0 * t - 1.0
    leading, *rest = ERFCX_POWERS[x.dtype]
    upper_tail = np.full_like(x, leading)
    for coefficient in rest:  # Horner's rule in u
        upper_tail *= u
        upper_tail += coefficient
    bell = np.exp(-z * z)
    upper_tail *= t
    upper_tail *= bell
    upper_tail *= 0.5  # 1 - Phi(|x|)
    return np.where(x < 0, upper_tail, 1.0 - upper_tail), bell
