"""Attention on NumPy arrays a block of keys at a time: the T x T matrix is never built."""

from __future__ import annotations

import math

import numpy as np

from minigrad.device import Array


def blockwise_attention_forward(
    query: Array, key: Array, value: Array, causal: bool, block: int
) -> tuple[Array, Array]:
    """Attention that looks at `block` keys at a time and never builds the T x T matrix.

    Softmax needs the largest score and the sum of exponentials of a whole row. Both are kept as running values:
    when a block brings a larger score, what was summed so far is scaled down by exp(old - new).

    Args:
        query, key, value: (..., T, hd).
        causal: position t sees positions 0..t only; the lengths of query and key must then be equal.
        block: keys looked at together.

    Returns:
        (output (..., T, hd), log of the sum of exponentials (..., T, 1)), all that the backward needs.

    Cost: the FLOPs of the plain form, block / T of its memory.

    Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao and others,
        FlashAttention, 2022, algorithm 1.
    """
    queries, keys = query.shape[-2], key.shape[-2]
    scale = 1.0 / math.sqrt(query.shape[-1])
    out = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)
    peak = np.full((*query.shape[:-1], 1), -np.inf, query.dtype)
    total = np.zeros_like(peak)
    for start in range(0, keys, block):
        first = start if causal else 0  # earlier queries see nothing of this block
        part = slice(start, start + block)
        scores = _block_scores(query, key, first, part, scale, causal)
        new_peak = np.maximum(peak[..., first:, :], scores.max(-1, keepdims=True))
        correction = np.exp(peak[..., first:, :] - new_peak)
        weights = np.exp(scores - new_peak)
        total[..., first:, :] = total[..., first:, :] * correction + weights.sum(-1, keepdims=True)
        out[..., first:, :] = out[..., first:, :] * correction + weights @ value[..., part, :]
        peak[..., first:, :] = new_peak
        if causal and first >= queries:
            break
    out /= total
    return out, peak + np.log(total)


def blockwise_attention_backward(
    grad: Array, query: Array, key: Array, value: Array, out: Array, log_sum: Array, causal: bool, block: int
) -> tuple[Array, Array, Array]:
    """Gradients (dquery, dkey, dvalue), with the probabilities of each block computed again.

    sum_j dP_ij P_ij, which the softmax's backward subtracts, is the row sum of grad * out.

    Source: Dao and others, FlashAttention, 2022, algorithm 4.
    """
    scale = 1.0 / math.sqrt(query.shape[-1])
    dquery, dkey, dvalue = np.zeros_like(query), np.zeros_like(key), np.zeros_like(value)
    row = (grad * out).sum(-1, keepdims=True)
    for start in range(0, key.shape[-2], block):
        first = start if causal else 0
        part = slice(start, start + block)
        probabilities = np.exp(_block_scores(query, key, first, part, scale, causal) - log_sum[..., first:, :])
        seen = grad[..., first:, :]
        dvalue[..., part, :] = np.swapaxes(probabilities, -1, -2) @ seen
        dscores = probabilities * (seen @ np.swapaxes(value[..., part, :], -1, -2) - row[..., first:, :])
        dscores *= scale
        dquery[..., first:, :] += dscores @ key[..., part, :]
        dkey[..., part, :] = np.swapaxes(dscores, -1, -2) @ query[..., first:, :]
    return dquery, dkey, dvalue


def _block_scores(query: Array, key: Array, first: int, part: slice, scale: float, causal: bool) -> Array:
    """Scores of the queries from `first` on against one block of keys, later keys hidden."""
    scores = query[..., first:, :] @ np.swapaxes(key[..., part, :], -1, -2)
    scores *= scale
    if causal:
        hidden = np.triu(np.ones(scores.shape[-2:], dtype=bool), k=1)
        scores[..., hidden] = -np.inf
    return scores
