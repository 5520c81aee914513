"""GELU on NumPy arrays in blocks: both forms through one tanh, and the derivative made on the way.

The plain form is in naive_cpu.py. Two things make these kernels faster than one expression after the other.

A block's temporaries stay in the cache, and several threads each take blocks (threads.py).

Both forms are x times a share between 0 and 1, and any such share can be written (1 + tanh u) / 2. In the tanh form
u = sqrt(2/pi) (x + 0.044715 x^3). In the exact form u = log(Phi / (1 - Phi)) / 2, an odd and smooth function of x:
x times a polynomial in x^2 is close enough for float32, with half the operations of the series in normal_cdf_cpu.py.
(So the tanh form is the first two terms of such a polynomial, and that is how it was found.)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigrad.device import Array
from minigrad.kernels.constants import CUBIC, SQRT_2_OVER_PI
from minigrad.kernels.normal_cdf_cpu import normal_cdf
from minigrad.kernels.threads import for_row_blocks

# u(x) / x as a polynomial in x^2, highest power first.
HALF_LOGIT_TANH = (SQRT_2_OVER_PI * CUBIC, SQRT_2_OVER_PI)
HALF_LOGIT_EXACT = (
    1.8056237e-09, -1.334467565e-07, 3.969115505e-06, -5.52402065e-05, -3.31298168e-05, 3.633428325e-02, 0.797884215,
)  # fmt: skip
"""Fitted to make the largest error of x (1 + tanh u) / 2 least; it is 7e-8. Beyond the range of the fit, |x| > 6, u
keeps growing in size, so that the result goes to x or to 0 as it should."""


def gelu_forward(x: Array, approximate: str = "none") -> Array:
    """Gaussian error linear unit: x Phi(x), or its tanh form.

    Args:
        x: any shape, float.
        approximate: "none" for x Phi(x); "tanh" for x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    Returns:
        Array of x's shape and dtype.

    Raises:
        ValueError: another form.

    Cost: 8 passes over a block in the cache in the tanh form, 18 in the exact form in float32, 60 in float64.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, section 2.
    """
    check_form(approximate)
    if (wide := wider(x)) is not None:
        return gelu_forward(x.astype(wide), approximate).astype(x.dtype)
    flat, y = x.reshape(-1), np.empty(x.shape, x.dtype)
    flat_y = y.reshape(-1)

    def work(block: slice) -> None:
        value(flat[block], approximate, flat_y[block])

    in_blocks(work, x.size)
    return y


def gelu_forward_with_slope(x: Array, approximate: str = "none") -> tuple[Array, Array | None]:
    """`gelu_forward`, and the derivative at x, which costs least while all it needs is in the cache.

    Args:
        x, approximate: as for `gelu_forward`.

    Returns:
        (y, dy/dx), of x's shape and dtype. On a GPU the second is None: there it is faster to compute it again than to
        write and read it.
    """
    check_form(approximate)
    if (wide := wider(x)) is not None:
        y, slope = gelu_forward_with_slope(x.astype(wide), approximate)
        return y.astype(x.dtype), None if slope is None else slope.astype(x.dtype)
    flat, y, slope = x.reshape(-1), np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    flat_y, flat_slope = y.reshape(-1), slope.reshape(-1)

    def work(block: slice) -> None:
        value_and_slope(flat[block], approximate, flat_y[block], flat_slope[block])

    in_blocks(work, x.size)
    return y, slope


def gelu_backward(grad: Array, x: Array, approximate: str = "none") -> Array:
    """grad times the derivative of the same form of gelu that the forward computed.

    The two forms' derivatives differ by up to 8.7e-4.

    Args:
        grad, x: of one shape.
        approximate: as in the forward.

    Returns:
        Array of x's shape and dtype.
    """
    check_form(approximate)
    if (wide := wider(x)) is not None:
        return gelu_backward(grad.astype(wide), x.astype(wide), approximate).astype(x.dtype)
    flat_grad, flat, dx = grad.reshape(-1), x.reshape(-1), np.empty(x.shape, x.dtype)
    flat_dx = dx.reshape(-1)

    def work(block: slice) -> None:
        out = flat_dx[block]
        value_and_slope(flat[block], approximate, None, out)
        out *= flat_grad[block]

    in_blocks(work, x.size)
    return dx


def gelu_backward_from_slope(grad: Array, slope: Array) -> Array:
    """grad times the derivative that `gelu_forward_with_slope` made. Cost: 12 bytes per float32 element."""
    dx = np.empty(slope.shape, slope.dtype)
    flat_grad, flat_slope, flat_dx = grad.reshape(-1), slope.reshape(-1), dx.reshape(-1)
    for_row_blocks(lambda block: multiply(flat_grad[block], flat_slope[block], flat_dx[block]), dx.size)
    return dx


def bias_gelu_forward(x: Array, bias: Array) -> Array:
    """gelu(x + bias) in the tanh form, in one pass over memory.

    Args:
        x: (..., C) float.
        bias: (C,).

    Returns:
        Array of x's shape and dtype.
    """
    rows, y = rows_of(x, bias), np.empty(x.shape, x.dtype)
    rows_y = y.reshape(rows.shape)

    def work(block: slice) -> None:
        value(rows[block] + bias, "tanh", rows_y[block])

    in_blocks(work, *rows.shape)
    return y


def bias_gelu_backward(grad: Array, x: Array, bias: Array) -> tuple[Array, Array]:
    """Gradients (dx, dbias) of `bias_gelu_forward`."""
    rows, dx = rows_of(x, bias), np.empty(x.shape, x.dtype)
    rows_grad, rows_dx = grad.reshape(rows.shape), dx.reshape(rows.shape)

    def work(block: slice) -> None:
        shifted, out = rows[block] + bias, rows_dx[block]
        value_and_slope(shifted, "tanh", None, out)
        out *= rows_grad[block]

    in_blocks(work, *rows.shape)
    return dx, np.ones(len(rows), x.dtype) @ rows_dx


# --------------------------------------------------------------------------------------------- on one block


def tanh_of(x: Array, square: Array, approximate: str, out: Array) -> None:
    """Write tanh u(x) into out, from x and its square. In the tanh form out may be the square itself."""
    leading, second, *rest = HALF_LOGIT_TANH if approximate == "tanh" else HALF_LOGIT_EXACT
    np.multiply(square, leading, out=out)
    out += second
    for coefficient in rest:  # Horner's rule in x^2
        out *= square
        out += coefficient
    out *= x
    np.tanh(out, out=out)


def value(x: Array, approximate: str, y: Array) -> None:
    """Write gelu of a block into y: x (1 + T) / 2 with T = tanh u."""
    if by_series(x, approximate):
        np.multiply(x, normal_cdf(x)[0], out=y)
        return
    square = np.multiply(x, x, out=y if approximate == "tanh" else None)
    tanh_of(x, square, approximate, y)
    y *= 0.5
    y += 0.5
    y *= x  # last: x times 2 could overflow


def value_and_slope(x: Array, approximate: str, y: Array | None, slope: Array) -> None:
    """Write the derivative of gelu on a block into slope and, if y is given, gelu itself into y.

    tanh form: (x (1 + T) / 2)' = (1 + T) (1/2 + (1 - T) h), h = x u' / 2 = sqrt(2/pi) / 2 (x + 3 * 0.044715 x^3).
    """
    if approximate == "none":
        exact_value_and_slope(x, y, slope)
        return
    np.multiply(x, x, out=slope)
    tanh_of(x, slope, approximate, tanh := np.empty_like(x))
    slope *= 1.5 * CUBIC * SQRT_2_OVER_PI
    slope += 0.5 * SQRT_2_OVER_PI
    slope *= x  # h
    slope *= 1.0 - tanh
    slope += 0.5
    tanh += 1.0
    slope *= tanh
    if y is not None:
        np.multiply(tanh, 0.5, out=y)
        y *= x


def exact_value_and_slope(x: Array, y: Array | None, slope: Array) -> None:
    """The same of the exact form: (x Phi)' = Phi + x phi(x), phi the normal density."""
    if by_series(x, "none"):
        cdf, bell = normal_cdf(x)
        np.multiply(bell, x, out=slope)
    else:
        np.multiply(x, x, out=slope)
        tanh_of(x, slope, "none", cdf := np.empty_like(x))
        cdf *= 0.5
        cdf += 0.5
        slope *= -0.5
        np.exp(slope, out=slope)
        slope *= x
    slope *= 1.0 / math.sqrt(2.0 * math.pi)
    slope += cdf
    if y is not None:
        np.multiply(x, cdf, out=y)


def by_series(x: Array, approximate: str) -> bool:
    """Whether Phi must be computed by the series, which float64 needs."""
    return approximate == "none" and x.dtype == np.float64


def multiply(a: Array, b: Array, out: Array) -> None:
    """a b into out, for a loop that expects nothing back."""
    np.multiply(a, b, out=out)


# ---------------------------------------------------------------------------------------------------- edges


def check_form(approximate: str) -> None:
    """Raise ValueError for a form that is neither."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r} is not known; use 'none' or 'tanh'")


def wider(x: Array) -> type[np.floating] | None:
    """The dtype to compute in, where x's own has too few bits for the way; None for float32 and float64."""
    if x.dtype in (np.float32, np.float64):
        return None
    return np.float32 if x.dtype.itemsize < 4 else np.float64


def rows_of(x: Array, bias: Array) -> Array:
    """(..., C) as a matrix (N, C); N is written out, since -1 is open where C is 0."""
    return x.reshape(math.prod(x.shape[:-1]), len(bias))


def in_blocks(work: Callable[[slice], None], rows: int, width: int = 1) -> None:
    """`for_row_blocks`, where a power of x may overflow: the tanh of infinity is the 1 that is wanted."""
    with np.errstate(over="ignore"):
        for_row_blocks(work, rows, width)
