"""Attention on packed queries, keys and values: what a transformer spends its time in.

`attention_forward` and `attention_backward` in cpu.py are the formula, and the oracle of these kernels, which compute
the same with less memory traffic. That is what attention costs on a CPU:

- Heads are strided views into one (B, T, 3 C) array. BLAS reads and writes them where they are: no copies.
- A causal triangle is cut into bands of rows. A band stops at its own last key: with two bands a quarter of all
  scores is never computed, with many nearly half, and only the square on the diagonal needs a mask.
- A few sequences are done at a time, so that their scores stay in the core's cache between one pass and the next.
- The largest score of each row is taken out before exp only where it must be: a maximum and a subtraction by rows cost
  more than exp itself. exp of numbers within +-40 neither overflows nor vanishes, and softmax is the same without.
- Softmax's division waits until the end: (exp(s) v) / sum and not (exp(s) / sum) v, hd numbers a row and not T.
- The backward needs sum_k dP_k P_k in each row. That is grad . out, hd numbers again, since out = sum_k P_k v_k.

Shapes stand at the ends of lines.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minigrad.device import Array

BAND = 64  # rows of scores in a band
SMALL = 40.0  # e^40 is 2e17: in float32 a sum of 1e21 of them is finite, and e^-40 has all its digits
AT_A_TIME = 1 << 16  # scores: half a megabyte of float64, a part of the L2 cache; fewer cost more in calls


class PackedWeights(NamedTuple):
    """What the forward of packed attention keeps.

    Attributes:
        bands: exp(score), or exp(score - largest score of its row) where scores are large; each (B, heads, rows of
            the band, keys that they see).
        sums: of each row, (B, heads, T, 1); a weight over its sum is a probability.
    """

    bands: list[Array]
    sums: Array


def packed_attention_forward(qkv: Array, heads: int, causal: bool) -> tuple[Array, PackedWeights]:
    """Multi-head attention on one packed projection, without copying the heads apart.

    Args:
        qkv: (B, T, 3 C): queries, keys and values side by side, each `heads` slices of C / heads.
        heads: number of heads.
        causal: position t sees positions 0..t only.

    Returns:
        (output (B, T, C), what the backward needs).

    Cost: 4 T^2 C FLOPs a sequence and 3 passes over T^2 heads scores; about half of both if causal and T >> 64.
    """
    B, T, width = qkv.shape
    query, key, value = split_heads(qkv, heads)
    query = query * (1.0 / math.sqrt(query.shape[-1]))  # hd numbers a row to scale here, T in the scores
    out = np.empty((B, T, width // 3), qkv.dtype)
    out_heads = cut_heads(out, heads)
    kept = PackedWeights([], np.empty((B, heads, T, 1), qkv.dtype))
    for rows, keys in bands(T, causal):
        weights = np.empty((B, heads, rows.stop - rows.start, keys), qkv.dtype)
        kept.bands.append(weights)
        ones = np.ones((keys, 1), qkv.dtype)
        triangle = np.triu(np.full((weights.shape[2],) * 2, -np.inf, qkv.dtype), k=1)  # hides what comes later
        for some in sequences_at_a_time(weights):
            scores = np.matmul(query[some, :, rows], np.swapaxes(key[some, :, :keys], -1, -2), out=weights[some])
            small = scores.max() < SMALL and scores.min() > -SMALL
            if causal:
                scores[..., rows] += triangle
            if not small:
                scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            np.matmul(scores, value[some, :, :keys], out=out_heads[some, :, rows])
            np.matmul(scores, ones, out=kept.sums[some, :, rows])  # row sums, streamed by BLAS
    out_heads /= kept.sums
    return out, kept


def packed_attention_backward(grad: Array, qkv: Array, out: Array, kept: PackedWeights, heads: int) -> Array:
    """Gradient of the packed projection, its three parts written into one array.

    Args:
        grad: (B, T, C).
        qkv: the forward's input.
        out, kept: what the forward returned.
        heads: number of heads.
    """
    # With p a row of probabilities, w its weights and S their sum: ds = p (dp - sum(dp p)), dp = grad v^T, and
    # sum(dp p) = grad . out. The two factors 1 / S in w / S and, for dv, in p^T grad are given to grad.
    query, key, value = split_heads(qkv, heads)
    dqkv = np.empty_like(qkv)
    dquery, dkey, dvalue = split_heads(dqkv, heads)
    grad_heads = cut_heads(grad, heads) / kept.sums  # (B, heads, T, hd)
    along = np.einsum("bhtc,bhtc->bht", grad_heads, cut_heads(out, heads))[..., None]  # (B, heads, T, 1)
    start = 0
    places = [slice(start, start := start + band.shape[2]) for band in kept.bands]
    # The last band sees all keys: it is done first, and writes where the others add.
    for rows, weights in zip(reversed(places), reversed(kept.bands), strict=True):
        keys = weights.shape[-1]
        last = rows.stop == qkv.shape[1]
        for some in sequences_at_a_time(weights):
            upstream = grad_heads[some, :, rows]
            dscores = upstream @ np.swapaxes(value[some, :, :keys], -1, -2)  # (some, heads, rows, keys)
            dscores -= along[some, :, rows]
            dscores *= weights[some]
            np.matmul(dscores, key[some, :, :keys], out=dquery[some, :, rows])
            for target, left, right in (
                (dkey, dscores, query[some, :, rows]),
                (dvalue, weights[some], upstream),
            ):
                if last:
                    np.matmul(np.swapaxes(left, -1, -2), right, out=target[some])
                else:
                    target[some, :, :keys] += np.swapaxes(left, -1, -2) @ right
    C = grad.shape[-1]
    dqkv[..., : 2 * C] *= 1.0 / math.sqrt(C // heads)
    return dqkv


def bands(length: int, causal: bool) -> list[tuple[slice, int]]:
    """(rows, number of keys they see): all at once, or, in a causal triangle, BAND rows at a time.

    >>> bands(150, causal=True)
    [(slice(0, 64, None), 64), (slice(64, 128, None), 128), (slice(128, 150, None), 150)]
    """
    if not causal:
        return [(slice(0, length), length)]
    ends = [min(start + BAND, length) for start in range(0, length, BAND)]
    return [(slice(end - (end - 1) % BAND - 1, end), end) for end in ends]


def sequences_at_a_time(scores: Array) -> list[slice]:
    """Slices of the first axis of (B, heads, rows, keys) with at most about AT_A_TIME scores each."""
    count = max(1, AT_A_TIME // max(1, math.prod(scores.shape[1:])))
    return [slice(start, start + count) for start in range(0, len(scores), count)]


def split_heads(qkv: Array, heads: int) -> tuple[Array, Array, Array]:
    """Views (B, heads, T, hd) of the queries, keys and values in a packed (B, T, 3 C)."""
    B, T, width = qkv.shape
    views = qkv.reshape(B, T, 3, heads, width // (3 * heads)).transpose(2, 0, 3, 1, 4)
    return views[0], views[1], views[2]


def cut_heads(x: Array, heads: int) -> Array:
    """The view (B, heads, T, hd) of a (B, T, C)."""
    B, T, C = x.shape
    return np.swapaxes(x.reshape(B, T, heads, C // heads), 1, 2)
