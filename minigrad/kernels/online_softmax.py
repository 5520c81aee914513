"""Softmax of long rows, a block of columns at a time: what a GPU does when a row does not fit in fast memory.

A softmax needs the largest entry of the whole row before it can add up exponentials, and the sum before it can
divide. Written plainly that is three walks over the row. The ONLINE softmax does the first two in one: it keeps the
largest entry so far and the sum so far, and scales the sum down whenever a larger entry turns up.

    row              2   1 | 5   0 |-1   5        columns in blocks of 2
    peak             2     | 5     | 5
    total          1.37    | 1.07  | 2.07         1.37 e^(2-5) + e^0 + e^-5 = 1.07, and so on

The same pair, kept for each row of scores, is what lets attention work without its T x T matrix
(`blockwise_cpu.py`), and what the threads of a GPU's block exchange (`cuda/softmax.cu`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.device import Array


def column_blocks(columns: int, block: int) -> Iterator[slice]:
    """Slices that cut `columns` columns into blocks of `block`; the last may be narrower.

    Raises:
        ValueError: block < 1.

    >>> [(part.start, part.stop) for part in column_blocks(5, 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    if block < 1:
        raise ValueError(f"block={block} must be at least 1")
    return (slice(start, min(start + block, columns)) for start in range(0, columns, block))


def join_block(peak: Array, total: Array, block: Array) -> tuple[Array, Array]:
    """The running pair of every row after one more block of columns.

    Args:
        peak: (rows, 1), the largest entry so far; -inf before the first block.
        total: (rows, 1), the sum of exp(x - peak) so far; 0 before the first block.
        block: (rows, columns) float, the entries that are new.

    Returns:
        (peak, total) with the new entries counted, in arrays of their own.

    Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018, algorithm 3.
    """
    new_peak = np.maximum(peak, block.max(axis=1, keepdims=True))
    # While all entries were -inf there is nothing to measure them from: -inf minus -inf would be NaN.
    shift = np.where(np.isneginf(new_peak), 0.0, new_peak).astype(block.dtype)
    return new_peak, total * np.exp(peak - shift) + np.exp(block - shift).sum(axis=1, keepdims=True)


def online_softmax_forward(x: Array, block: int) -> Array:
    """Softmax of each row, `block` columns at a time.

    Args:
        x: (rows, columns) float.
        block: columns looked at together.

    Returns:
        (rows, columns) array of x's dtype. A row that is -inf throughout gives NaN, as everywhere.

    Cost: x is read twice and y written once, where the plain form reads x three times.
    """
    peak, total = np.full((len(x), 1), -np.inf, x.dtype), np.zeros((len(x), 1), x.dtype)
    for part in column_blocks(x.shape[1], block):
        peak, total = join_block(peak, total, x[:, part])
    y = np.empty(x.shape, x.dtype)
    with np.errstate(invalid="ignore"):  # a row of -inf alone
        for part in column_blocks(x.shape[1], block):
            y[:, part] = np.exp(x[:, part] - peak) / total
    return y


def online_softmax_backward(grad: Array, y: Array, block: int) -> Array:
    """Gradient of softmax from its output y, `block` columns at a time: (grad - sum(grad y)) y.

    Args:
        grad, y: (rows, columns) float.
        block: columns looked at together.

    Returns:
        (rows, columns) array of y's dtype.

    Cost: grad and y are read twice each. The sum is of the whole row, so the first walk can write nothing yet.
    """
    along = np.zeros((len(y), 1), y.dtype)
    for part in column_blocks(y.shape[1], block):
        along += (grad[:, part] * y[:, part]).sum(axis=1, keepdims=True)
    dx = np.empty(y.shape, y.dtype)
    for part in column_blocks(y.shape[1], block):
        dx[:, part] = (grad[:, part] - along) * y[:, part]
    return dx
