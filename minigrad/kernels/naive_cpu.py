"""Kernels in their plain form: one NumPy expression after the other on whole arrays.

This is what each kernel computes. cpu.py exports functions of the same names and arguments that compute the same in
blocks, on several threads; the tests hold them against these. What costs here is not arithmetic but memory traffic:
every expression reads and writes whole arrays. These functions work in place on arrays they own (`out=`, `*=`) and
keep for the backward only what cannot be had again cheaply. Shapes stand at the ends of lines.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array
from minigrad.kernels.constants import CUBIC, SQRT_2_OVER_PI
from minigrad.kernels.normal_cdf_cpu import normal_cdf

__all__ = [
    "CUBIC", "SQRT_2_OVER_PI", "column_sum", "cross_entropy_backward", "cross_entropy_forward", "gelu_backward",
    "gelu_forward", "gelu_tanh_factor", "layer_norm_backward", "layer_norm_forward", "normal_cdf", "rms_norm_backward",
    "rms_norm_forward", "softmax_backward", "softmax_forward",
]  # fmt: skip

# --------------------------------------------------------------------------------------------------- GELU


def gelu_forward(x: Array, approximate: str = "none") -> Array:
    """Gaussian error linear unit: x Phi(x), or its tanh form.

    Args:
        x: any shape, float32 or float64.
        approximate: "none" for x Phi(x); "tanh" for x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    Returns:
        Array of x's shape and dtype.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, section 2.
    """
    if approximate == "tanh":
        y = gelu_tanh_factor(x)
        y += 1.0
        y *= x
        y *= 0.5
        return y
    phi, _ = normal_cdf(x)
    phi *= x
    return phi


def gelu_backward(grad: Array, x: Array, approximate: str = "none") -> Array:
    """Derivative of the same form of gelu that the forward computed (the two differ by up to 8.7e-4).

    Exact form: d/dx x Phi(x) = Phi(x) + x phi(x), phi the normal density.
    tanh form, with T = tanh(u): (1 + T)/2 + x/2 (1 - T^2) du/dx, du/dx = sqrt(2/pi) (1 + 3 * 0.044715 x^2).
    """
    if approximate == "tanh":
        tanh = gelu_tanh_factor(x)
        slope = x * x
        slope *= 3.0 * CUBIC * SQRT_2_OVER_PI
        slope += SQRT_2_OVER_PI  # du/dx
        slope *= x
        slope *= 1.0 - tanh * tanh
        slope += tanh
        slope += 1.0
        slope *= 0.5
        slope *= grad
        return slope
    phi, density = normal_cdf(x)
    density *= 1.0 / math.sqrt(2.0 * math.pi)
    density *= x
    density += phi
    density *= grad
    return density


def gelu_tanh_factor(x: Array) -> Array:
    """tanh(sqrt(2/pi) (x + 0.044715 x^3)), in one owned buffer."""
    u = np.multiply(x, x, out=np.empty_like(x))
    u *= CUBIC * SQRT_2_OVER_PI
    u += SQRT_2_OVER_PI
    u *= x
    return np.tanh(u, out=u)


# ------------------------------------------------------------------------------------------------ softmax


def softmax_forward(x: Array, axis: int = -1) -> Array:
    """exp(x) / sum exp(x) along `axis`; the largest entry is subtracted first so that exp cannot overflow."""
    y = x - x.max(axis=axis, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y


def softmax_backward(grad: Array, y: Array, axis: int = -1) -> Array:
    """Gradient of softmax from its *output* y: (grad - sum(grad y)) y, never building the Jacobian."""
    dx = grad * y
    row = dx.sum(axis=axis, keepdims=True)
    dx -= y * row
    return dx


# -------------------------------------------------------------------------------------------- cross-entropy


def cross_entropy_forward(logits: Array, targets: Array) -> tuple[Array, Array]:
    """Negative log-likelihood of the target class in each row, through log-softmax.

    Args:
        logits: (N, V) float.
        targets: (N,) integers in [0, V).

    Returns:
        (losses (N,), log of the sum of exponentials (N,)); the second is what the backward needs.
    """
    peak = logits.max(axis=1)  # (N,)
    log_sum = np.log(np.exp(logits - peak[:, None]).sum(axis=1))  # (N,)
    log_sum += peak
    return log_sum - logits[np.arange(len(targets)), targets], log_sum


def cross_entropy_backward(grad: Array, logits: Array, targets: Array, log_sum: Array) -> Array:
    """softmax(logits) - one_hot(targets), each row times its grad (N,)."""
    dlogits = np.exp(logits - log_sum[:, None])  # (N, V)
    dlogits[np.arange(len(targets)), targets] -= 1.0
    dlogits *= grad[:, None]
    return dlogits


# --------------------------------------------------------------------------------------------- layer norm


def layer_norm_forward(x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    """Normalise each row over the last axis to mean 0 and variance 1, then scale and shift.

    Args:
        x: (..., C) float.
        weight, bias: (C,).
        eps: added to the variance (biased, as the paper has it).

    Returns:
        (y (..., C), x_hat (..., C), inverse deviation (..., 1)); the last two are kept for the backward.

    Source: Ba, Kiros and Hinton, Layer Normalization, 2016, equation 3.
    """
    x_hat = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...c,...c->...", x_hat, x_hat)[..., None]  # (..., 1), no temporary of x's size
    variance *= 1.0 / x.shape[-1]
    variance += eps
    inverse_deviation = 1.0 / np.sqrt(variance)
    x_hat *= inverse_deviation
    y = x_hat * weight
    y += bias
    return y, x_hat, inverse_deviation


def layer_norm_backward(
    grad: Array, x_hat: Array, inverse_deviation: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """Gradients (dx, dweight, dbias) of layer norm, from what its forward kept."""
    # With h = grad * weight and means over a row: dx = (h - mean(h) - x_hat mean(h x_hat)) / deviation. The two
    # subtractions take out of h what the mean and the variance, both functions of x, cancel.
    channels = grad.shape[-1]
    rows = grad.reshape(-1, channels)  # (N, C)
    rows_hat = x_hat.reshape(-1, channels)
    dweight = np.einsum("nc,nc->c", rows, rows_hat)
    dbias = column_sum(rows)
    dx = rows * weight
    along = np.einsum("nc,nc->n", dx, rows_hat)[:, None]
    along *= 1.0 / channels
    dx -= dx.mean(axis=1, keepdims=True)
    dx -= rows_hat * along
    dx *= inverse_deviation.reshape(-1, 1)
    return dx.reshape(grad.shape), dweight, dbias


def column_sum(rows: Array) -> Array:
    """Sum over the rows of (N, C) as a product with ones: BLAS streams it, `sum(axis=0)` strides."""
    return np.ones(len(rows), dtype=rows.dtype) @ rows


def rms_norm_forward(x: Array, weight: Array, eps: float) -> tuple[Array, Array, Array]:
    """Divide each row by its root mean square, then scale: layer norm without the mean and the shift.

    Args:
        x: (..., C) float.
        weight: (C,).
        eps: added to the mean square.

    Returns:
        (y (..., C), x_hat (..., C), 1 / rms (..., 1)); the last two are kept for the backward.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019, equation 4.
    """
    square = np.einsum("...c,...c->...", x, x)[..., None]
    square *= 1.0 / x.shape[-1]
    square += eps
    inverse_rms = 1.0 / np.sqrt(square)
    x_hat = x * inverse_rms
    return x_hat * weight, x_hat, inverse_rms


def rms_norm_backward(grad: Array, x_hat: Array, inverse_rms: Array, weight: Array) -> tuple[Array, Array]:
    """Gradients (dx, dweight) of RMS norm, from what its forward kept."""
    # With h = grad * weight and the mean over a row: dx = (h - x_hat mean(h x_hat)) / rms.
    channels = grad.shape[-1]
    dweight = np.einsum("nc,nc->c", grad.reshape(-1, channels), x_hat.reshape(-1, channels))
    dx = grad * weight
    along = np.einsum("...c,...c->...", dx, x_hat)[..., None]
    along *= 1.0 / channels
    dx -= x_hat * along
    dx *= inverse_rms
    return dx, dweight
