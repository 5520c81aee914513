"""Hand-written kernels on NumPy arrays: each operation's forward and its hand-derived backward.

What costs on a CPU is not arithmetic but memory traffic: every temporary is written to memory and read back. So the
kernels go through their arrays in blocks of rows that stay in the cache, in place on arrays they own, and on several
threads (threads.py). Each family has a file; the plain form of its kernels, which says what they compute, is in
naive_cpu.py. Shapes stand at the ends of lines.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array
from minigrad.kernels.blockwise_cpu import blockwise_attention_backward, blockwise_attention_forward
from minigrad.kernels.convolution_cpu import col2im, im2col
from minigrad.kernels.dropout_cpu import dropout
from minigrad.kernels.embedding_cpu import embedding_backward
from minigrad.kernels.gelu_cpu import (
    bias_gelu_backward,
    bias_gelu_forward,
    gelu_backward,
    gelu_backward_from_slope,
    gelu_forward,
    gelu_forward_with_slope,
)
from minigrad.kernels.normal_cdf_cpu import normal_cdf
from minigrad.kernels.normalization_cpu import (
    column_sum,
    layer_norm_backward,
    layer_norm_forward,
    rms_norm_backward,
    rms_norm_forward,
)
from minigrad.kernels.optimizers_cpu import adamw_update, sgd_update
from minigrad.kernels.packed_attention_cpu import packed_attention_backward, packed_attention_forward
from minigrad.kernels.softmax_cpu import (
    cross_entropy_backward,
    cross_entropy_forward,
    softmax_backward,
    softmax_forward,
)

__all__ = [
    "adamw_update", "attention_backward", "attention_forward", "bias_gelu_backward", "bias_gelu_forward",
    "blockwise_attention_backward", "blockwise_attention_forward", "col2im", "column_sum", "cross_entropy_backward",
    "cross_entropy_forward", "dropout", "embedding_backward", "gelu_backward", "gelu_backward_from_slope",
    "gelu_forward", "gelu_forward_with_slope", "im2col", "layer_norm_backward", "layer_norm_forward", "matmul",
    "normal_cdf", "packed_attention_backward", "packed_attention_forward", "rms_norm_backward", "rms_norm_forward",
    "sgd_update", "softmax_backward", "softmax_forward",
]  # fmt: skip

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
