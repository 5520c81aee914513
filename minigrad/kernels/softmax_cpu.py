"""Softmax and cross-entropy on NumPy arrays in blocks of rows, with two passes less than the formula has.

The plain forms are in naive_cpu.py. They subtract the largest entry of each row first, so that exp cannot overflow:
one pass to find it, one to subtract it. Mostly it could not overflow anyway, and softmax is the same for any shift. So
exp takes the entries as they are, and where a row's sum tells that this went wrong, the block is done again with the
shift. The rest is in the cache: the exponentials, their row sums, the scaling.
"""

from __future__ import annotations

import numpy as np

from minigrad.device import Array
from minigrad.kernels import naive_cpu
from minigrad.kernels.exponential_cpu import exponential
from minigrad.kernels.row_sums_cpu import row_dots, row_sums
from minigrad.kernels.threads import for_row_blocks

SMALLEST_SUM, LARGEST_SUM = 1e-20, 1e30
"""Row sums of exponentials between which no shift is needed: in float32 a number below 1e-38 loses digits, so those
that matter to a sum of 1e-20 are exact, and so is 1 over a sum of 1e30."""

LARGEST_LOG_SUM = 60.0  # exp(60) = 1e26


def softmax_forward(x: Array, axis: int = -1) -> Array:
    """exp(x) / sum exp(x) along `axis`.

    A row that is all -inf, or holds +inf, gives NaN and NumPy's warning of an invalid value, as in the plain form; NaN
    stays in its row.

    Args:
        x: any shape, float; at least one axis.
        axis: the last is the fast one.

    Returns:
        Array of x's shape and dtype.

    Cost: 3 passes over a block in the cache.
    """
    if not fits(x, axis):
        return naive_cpu.softmax_forward(x, axis)
    y = np.empty(x.shape, x.dtype)
    rows, rows_y = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])

    def work(block: slice) -> None:
        out = rows_y[block]
        sums, _ = exponentials(rows[block], out)
        out *= np.divide(1.0, sums, out=sums)

    for_row_blocks(work, *rows.shape)
    return y


def softmax_backward(grad: Array, y: Array, axis: int = -1) -> Array:
    """Gradient of softmax from its *output* y: (grad - sum(grad y)) y, never building the Jacobian.

    Cost: 3 passes over a block in the cache.
    """
    if not fits(y, axis) or grad.dtype != y.dtype:
        return naive_cpu.softmax_backward(grad, y, axis)
    dx = np.empty(y.shape, y.dtype)
    rows_grad, rows_y, rows_dx = (a.reshape(-1, y.shape[-1]) for a in (grad, y, dx))

    def work(block: slice) -> None:
        g, p, out = rows_grad[block], rows_y[block], rows_dx[block]
        np.subtract(g, row_dots(g, p), out=out)
        out *= p

    for_row_blocks(work, *rows_y.shape)
    return dx


def cross_entropy_forward(logits: Array, targets: Array) -> tuple[Array, Array]:
    """Negative log-likelihood of the target class in each row, through log-softmax.

    Args:
        logits: (N, V) float.
        targets: (N,) integers in [0, V).

    Returns:
        (losses (N,), log of the sum of exponentials (N,)); the second is what the backward needs.

    Cost: 2 passes over a block in the cache; the exponentials never leave it.
    """
    if not fits(logits, -1):
        return naive_cpu.cross_entropy_forward(logits, targets)
    log_sum = np.empty(len(logits), logits.dtype)

    def work(block: slice) -> None:
        some = logits[block]
        sums, peak = exponentials(some, np.empty(some.shape, some.dtype))
        np.log(sums, out=sums)
        if peak is not None:
            sums += peak
        log_sum[block] = sums[:, 0]

    for_row_blocks(work, *logits.shape)
    return log_sum - logits[np.arange(len(targets)), targets], log_sum


def cross_entropy_backward(grad: Array, logits: Array, targets: Array, log_sum: Array) -> Array:
    """softmax(logits) - one_hot(targets), each row times its grad (N,).

    Cost: 2 passes over a block in the cache: exp(logits) exp(-log_sum) grad, where neither is too large, is a pass less
    than exp(logits - log_sum) grad.
    """
    if not fits(logits, -1):
        return naive_cpu.cross_entropy_backward(grad, logits, targets, log_sum)
    dlogits = np.empty(logits.shape, logits.dtype)

    def work(block: slice) -> None:
        some, shift, out = logits[block], log_sum[block, None], dlogits[block]
        factor = np.asarray(grad[block, None], some.dtype)
        if np.abs(shift).max(initial=0.0) <= LARGEST_LOG_SUM:  # no logit is larger than the log of the sum
            exponential(some, out)
            out *= np.exp(-shift) * factor
        else:
            np.subtract(some, shift, out=out)
            exponential(out, out)
            out *= factor
        out[np.arange(len(out)), targets[block]] -= factor[:, 0]

    for_row_blocks(work, *logits.shape)
    return dlogits


def exponentials(x: Array, out: Array) -> tuple[Array, Array | None]:
    """Write exp(x - peak) of a block (n, C) into out.

    Returns:
        (row sums (n, 1), peak (n, 1)); the peak is the largest entry of each row, or None where 0 did as well.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the sum is infinite then, or NaN
        sums = row_sums(exponential(x, out))
    if sums.min() >= SMALLEST_SUM and sums.max() <= LARGEST_SUM:  # false for NaN
        return sums, None
    peak = x.max(axis=1, keepdims=True)
    np.subtract(x, peak, out=out)
    return row_sums(exponential(out, out)), peak


def fits(x: Array, axis: int) -> bool:
    """Whether the fast form takes it: rows of float32 or float64 along the last axis, and something in them."""
    return x.ndim > 0 and x.size > 0 and x.dtype in (np.float32, np.float64) and axis in (-1, x.ndim - 1)
