"""Hand-written kernels on NumPy arrays: each operation's forward and its hand-derived backward.

What costs on a CPU is not arithmetic but memory traffic: every temporary is written to memory and read back.
The kernels therefore work in place on arrays they own (`out=`, `*=`) and keep for the backward only what
cannot be had again cheaply. Shapes stand at the ends of lines.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array
from minigrad.kernels.blockwise_cpu import blockwise_attention_backward, blockwise_attention_forward
from minigrad.kernels.convolution_cpu import col2im, im2col

__all__ = [
    "attention_backward", "attention_forward", "blockwise_attention_backward", "blockwise_attention_forward",
    "col2im", "cross_entropy_backward", "cross_entropy_forward", "embedding_backward", "gelu_backward",
    "gelu_forward", "im2col", "layer_norm_backward", "layer_norm_forward", "matmul", "normal_cdf",
    "packed_attention_backward", "packed_attention_forward", "rms_norm_backward", "rms_norm_forward",
    "softmax_backward", "softmax_forward",
]  # fmt: skip

# --------------------------------------------------------------------------------------------------- GELU

SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
CUBIC = 0.044715  # the coefficient of x^3 in the tanh form, fitted by Hendrycks and Gimpel

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


# ----------------------------------------------------------------------------------------------- embedding


def embedding_backward(grad: Array, indices: Array, rows: int) -> Array:
    """Add each row of grad to the row of the table it was read from.

    An index that occurs twice must receive both rows, which plain `table[indices] += grad` loses. Sorting by
    index puts equal ones side by side, and `add.reduceat` sums each run in a fixed order.

    Args:
        grad: (..., C).
        indices: (...) integers in [0, rows).
        rows: height of the table.

    Returns:
        (rows, C) array of grad's dtype.

    Cost: O(N log N + N C) for N indices.
    """
    flat = indices.reshape(-1)
    dtable = np.zeros((rows, grad.shape[-1]), dtype=grad.dtype)
    if flat.size == 0:
        return dtable
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    dtable[ordered[starts]] = np.add.reduceat(grad.reshape(flat.size, -1)[order], starts, axis=0)
    return dtable


# ----------------------------------------------------------------------------------------------- attention


def attention_forward(
    query: Array, key: Array, value: Array, causal: bool, mask: Array | None = None
) -> tuple[Array, Array]:
    """Scaled dot-product attention: softmax(q k^T / sqrt(hd)) v.

    Args:
        query, key, value: (..., T, hd) float; strided views (heads cut out of one array) need no copy.
        causal: query t sees keys 0..t only.
        mask: added to the scores, broadcast to (..., T, T); -inf hides.

    Returns:
        (output (..., T, hd), probabilities (..., T, T)); the second is kept for the backward.

    Cost: 4 T^2 hd FLOPs per head, T^2 memory per head.

    Source: Vaswani and others, Attention Is All You Need, 2017, equation 1.
    """
    scores = query @ np.swapaxes(key, -1, -2)  # (..., T, T)
    scores *= 1.0 / math.sqrt(query.shape[-1])
    if mask is not None:
        scores += mask
    if causal:
        scores += causal_mask(scores.shape[-2], scores.shape[-1], scores.dtype)
    probabilities = softmax_forward(scores)
    return probabilities @ value, probabilities


def attention_backward(
    grad: Array, query: Array, key: Array, value: Array, probabilities: Array
) -> tuple[Array, Array, Array]:
    """Gradients (dquery, dkey, dvalue). A masked score has probability 0, and so gradient 0, by itself."""
    dvalue = np.swapaxes(probabilities, -1, -2) @ grad
    dscores = softmax_backward(grad @ np.swapaxes(value, -1, -2), probabilities)
    dscores *= 1.0 / math.sqrt(query.shape[-1])
    return dscores @ key, np.swapaxes(dscores, -1, -2) @ query, dvalue


def packed_attention_forward(qkv: Array, heads: int, causal: bool) -> tuple[Array, Array]:
    """Multi-head attention on one packed projection, without copying the heads apart.

    Args:
        qkv: (B, T, 3 C): queries, keys and values side by side, each `heads` slices of C / heads.
        heads: number of heads.
        causal: position t sees positions 0..t only.

    Returns:
        (output (B, T, C), probabilities (B, heads, T, T)).
    """
    B, T, width = qkv.shape
    query, key, value = split_heads(qkv, heads)
    out, probabilities = attention_forward(query, key, value, causal)  # (B, heads, T, hd)
    return np.swapaxes(out, 1, 2).reshape(B, T, width // 3), probabilities


def packed_attention_backward(grad: Array, qkv: Array, probabilities: Array, heads: int) -> Array:
    """Gradient of the packed projection: the three parts are written into one array."""
    B, T, C = grad.shape
    grad_heads = np.swapaxes(grad.reshape(B, T, heads, C // heads), 1, 2)
    dqkv = np.empty_like(qkv)
    parts = attention_backward(grad_heads, *split_heads(qkv, heads), probabilities)
    for target, part in zip(split_heads(dqkv, heads), parts, strict=True):
        target[...] = part
    return dqkv


def split_heads(qkv: Array, heads: int) -> tuple[Array, Array, Array]:
    """Views (B, heads, T, hd) of the queries, keys and values in a packed (B, T, 3 C)."""
    B, T, width = qkv.shape
    views = qkv.reshape(B, T, 3, heads, width // (3 * heads)).transpose(2, 0, 3, 1, 4)
    return views[0], views[1], views[2]


def causal_mask(queries: int, keys: int, dtype: np.dtype[np.generic], first: int = 0) -> Array:
    """(queries, keys) array to add to scores: 0 where a key may be seen, -inf where it comes later.

    Args:
        queries, keys: lengths.
        dtype: of the scores.
        first: position of the first query among the keys: with a cache, the number of positions in it.
    """
    hidden = np.triu(np.ones((queries, keys), dtype=bool), k=1 + first)
    return np.where(hidden, -np.inf, 0.0).astype(dtype)


# --------------------------------------------------------------------------------------------------- matmul


def matmul(a: Array, b: Array) -> Array:
    """Matrix product over the last two axes; BLAS does it, on a batch of rows as one large product."""
    if b.ndim == 2 and a.ndim > 2:  # one (rows x K) @ (K x N) instead of a loop of small ones
        return (a.reshape(math.prod(a.shape[:-1]), a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1])
    # Of two matrices `dot` is the same product, and takes half a microsecond less to reach BLAS.
    return a.dot(b) if a.ndim == b.ndim == 2 else a @ b
