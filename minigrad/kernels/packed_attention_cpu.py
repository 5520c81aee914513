"""Attention on packed queries, keys and values: what a transformer spends its time in.

`attention_forward` and `attention_backward` in cpu.py are the formula, and the oracle of these kernels, which compute
the same with less memory traffic. That is what attention costs on a CPU:

- Heads are strided views into one (B, T, 3 C) array. BLAS reads and writes them where they are. Only what it would
  have to read transposed is copied: with hd as short as it is, a b^T runs at half the speed of a b.
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
SMALL = 40.0  # e^40 is 2e17: in float32 a sum of 1e21 of them is finite, and e^-40 has all its digits; not in float16
AT_A_TIME = 1 << 18  # scores: a megabyte of float32, about the L2 cache; fewer cost more in calls


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

    Cost: 4 T^2 C FLOPs a sequence and 3 passes over T^2 heads scores; about half of both if causal and T >> BAND.
    """
    B, T, width = qkv.shape
    scale = 1.0 / math.sqrt(width // (3 * heads))
    out = np.empty((B, T, width // 3), qkv.dtype)
    cut = bands(T, causal)
    shapes = [(rows.stop - rows.start, keys) for rows, keys in cut]
    kept = PackedWeights(
        [np.empty((B, heads, *shape), qkv.dtype) for shape in shapes], np.empty((B, heads, T, 1), qkv.dtype)
    )
    later = [  # to be added: hides the keys that come after the query
        np.triu(np.full(shape, -np.inf, qkv.dtype), k=1 + rows.start)
        for shape, (rows, _) in zip(shapes, cut, strict=True)
    ]
    ones = np.ones((T, 1), qkv.dtype)
    for some in sequences_at_a_time(B, heads * T * T):
        query, key, value = split_heads(qkv[some], heads)
        query = query * scale  # hd numbers a row here, T numbers if the scores were scaled
        key_columns = np.ascontiguousarray(np.swapaxes(key, -1, -2))  # (some, heads, hd, T)
        some_out, sums = cut_heads(out[some], heads), kept.sums[some]
        for (rows, keys), weights, hidden in zip(cut, kept.bands, later, strict=True):
            scores = np.matmul(query[:, :, rows], key_columns[..., :keys], out=weights[some])
            small = qkv.dtype != np.float16 and scores.max() < SMALL and scores.min() > -SMALL
            if causal:
                scores += hidden
            if not small:
                scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            np.matmul(scores, value[:, :, :keys], out=some_out[:, :, rows])
            np.matmul(scores, ones[:keys], out=sums[:, :, rows])  # row sums, streamed by BLAS
        some_out /= sums
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
    # sum(dp p) = grad . out. The factors 1 / S, in p = w / S and, for dv, in p^T grad, and 1 / sqrt(hd) are given to
    # grad, hd numbers a row.
    B, T, C = grad.shape
    scale = 1.0 / math.sqrt(C // heads)
    dqkv = np.empty_like(qkv)
    cut = bands(T, causal=len(kept.bands) != 1)  # a single band is all rows, causal or not
    for some in sequences_at_a_time(B, heads * T * T):
        query, key, value = split_heads(qkv[some], heads)
        value_columns = np.ascontiguousarray(np.swapaxes(value, -1, -2))  # (some, heads, hd, T)
        upstream = cut_heads(grad[some], heads) / kept.sums[some]  # (some, heads, T, hd)
        scaled = upstream * scale
        along = np.einsum("bhtc,bhtc->bht", scaled, cut_heads(out[some], heads))[..., None]
        dquery, dkey, dvalue = split_heads(dqkv[some], heads)
        # The last band sees all keys: it is done first, and writes where the others add.
        for (rows, keys), band in zip(reversed(cut), reversed(kept.bands), strict=True):
            weights = band[some]
            dscores = scaled[:, :, rows] @ value_columns[..., :keys]  # (some, heads, rows, keys)
            dscores -= along[:, :, rows]
            dscores *= weights
            np.matmul(dscores, key[:, :, :keys], out=dquery[:, :, rows])
            for target, left, right in ((dkey, dscores, query), (dvalue, weights, upstream)):
                if keys == T:
                    np.matmul(np.swapaxes(left, -1, -2), right[:, :, rows], out=target)
                else:
                    target[:, :, :keys] += np.swapaxes(left, -1, -2) @ right[:, :, rows]
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


def sequences_at_a_time(count: int, scores: int) -> list[slice]:
    """Slices of `count` sequences of so many scores each, with at most about AT_A_TIME scores in a slice."""
    height = max(1, AT_A_TIME // max(1, scores))
    return [slice(start, start + height) for start in range(0, count, height)]


def split_heads(qkv: Array, heads: int) -> tuple[Array, Array, Array]:
    """Views (B, heads, T, hd) of the queries, keys and values in a packed (B, T, 3 C)."""
    B, T, width = qkv.shape
    views = qkv.reshape(B, T, 3, heads, width // (3 * heads)).transpose(2, 0, 3, 1, 4)
    return views[0], views[1], views[2]


def cut_heads(x: Array, heads: int) -> Array:
    """The view (B, heads, T, hd) of a (B, T, C)."""
    B, T, C = x.shape
    return np.swapaxes(x.reshape(B, T, heads, C // heads), 1, 2)
