"""Layer norm and RMS norm on NumPy arrays in blocks of rows: forward and backward.

The plain forms are in naive_cpu.py. Here a block is read once from memory and written once; what lies between, the
means, deviations and scalings, happens in the cache. A sum over the columns (the gradients of weight and bias) is made
a block at a time too: each block leaves its own sums in a row of a small array, and the rows are added at the end in
their order, so that the number of threads changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.device import Array
from minigrad.kernels.row_sums_cpu import row_dots, row_sums
from minigrad.kernels.threads import block_rows, for_row_blocks


def layer_norm_forward(x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    """Normalise each row over the last axis to mean 0 and variance 1, then scale and shift.

    Args:
        x: (..., C) float.
        weight, bias: (C,).
        eps: added to the variance (biased, as the paper has it).

    Returns:
        (y (..., C), x_hat (..., C), inverse deviation (..., 1)); the last two are kept for the backward.

    Cost: 12 bytes of memory traffic per float32 element, 6 passes over a block in the cache.

    Source: Ba, Kiros and Hinton, Layer Normalization, 2016, equation 3.
    """
    if x.dtype == np.float16:
        return by_way_of_float32(layer_norm_forward, x, weight, bias, eps=eps)
    rows, y, x_hat, inverse = outputs(x)
    columns = rows.shape[1]

    def work(block: slice) -> None:
        some, centred, out = rows[block], x_hat[block], y[block]
        mean = row_sums(some)
        mean *= 1.0 / max(columns, 1)
        np.subtract(some, mean, out=centred)
        inverse_root(row_dots(centred, centred), columns, eps, inverse[block])
        centred *= inverse[block]
        np.multiply(centred, weight, out=out)
        out += bias

    for_row_blocks(work, *rows.shape)
    return y.reshape(x.shape), x_hat.reshape(x.shape), inverse.reshape(*x.shape[:-1], 1)


def layer_norm_backward(
    grad: Array, x_hat: Array, inverse_deviation: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """Gradients (dx, dweight, dbias) of layer norm, from what its forward kept.

    Cost: 12 bytes of memory traffic per float32 element, 10 passes over a block in the cache.
    """
    if grad.dtype == np.float16:
        return by_way_of_float32(layer_norm_backward, grad, x_hat, inverse_deviation, weight)
    # With h = grad * weight and means over a row: dx = (h - mean(h) - x_hat mean(h x_hat)) / deviation. The two
    # subtractions take out of h what the mean and the variance, both functions of x, cancel.
    rows, rows_hat, inverse, dx = matrices(grad, x_hat, inverse_deviation)
    columns, height = rows.shape[1], column_block(rows)
    dweights, dbiases = np.zeros((2, -(-len(rows) // height), columns), rows.dtype)

    def work(block: slice) -> None:
        g, hat, out, place = rows[block], rows_hat[block], dx[block], block.start // height
        product = g * hat
        np.add.reduce(product, axis=0, out=dweights[place])
        np.add.reduce(g, axis=0, out=dbiases[place])
        along, mean = row_dots(product, weight), row_dots(g, weight)  # of h x_hat and of h
        along *= 1.0 / max(columns, 1)
        mean *= 1.0 / max(columns, 1)
        np.multiply(g, weight, out=out)
        out -= mean
        out -= np.multiply(hat, along, out=product)
        out *= inverse[block]

    for_row_blocks(work, len(rows), columns, height=height)
    return dx.reshape(grad.shape), dweights.sum(axis=0), dbiases.sum(axis=0)


def rms_norm_forward(x: Array, weight: Array, eps: float) -> tuple[Array, Array, Array]:
    """Divide each row by its root mean square, then scale: layer norm without the mean and the shift.

    Args:
        x: (..., C) float.
        weight: (C,).
        eps: added to the mean square.

    Returns:
        (y (..., C), x_hat (..., C), 1 / rms (..., 1)); the last two are kept for the backward.

    Cost: 12 bytes of memory traffic per float32 element, 3 passes over a block in the cache.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019, equation 4.
    """
    if x.dtype == np.float16:
        return by_way_of_float32(rms_norm_forward, x, weight, eps=eps)
    rows, y, x_hat, inverse = outputs(x)

    def work(block: slice) -> None:
        some, hat = rows[block], x_hat[block]
        inverse_root(row_dots(some, some), rows.shape[1], eps, inverse[block])
        np.multiply(some, inverse[block], out=hat)
        np.multiply(hat, weight, out=y[block])

    for_row_blocks(work, *rows.shape)
    return y.reshape(x.shape), x_hat.reshape(x.shape), inverse.reshape(*x.shape[:-1], 1)


def rms_norm_backward(grad: Array, x_hat: Array, inverse_rms: Array, weight: Array) -> tuple[Array, Array]:
    """Gradients (dx, dweight) of RMS norm, from what its forward kept.

    Cost: 12 bytes of memory traffic per float32 element, 7 passes over a block in the cache.
    """
    if grad.dtype == np.float16:
        return by_way_of_float32(rms_norm_backward, grad, x_hat, inverse_rms, weight)
    # With h = grad * weight and the mean over a row: dx = (h - x_hat mean(h x_hat)) / rms.
    rows, rows_hat, inverse, dx = matrices(grad, x_hat, inverse_rms)
    columns, height = rows.shape[1], column_block(rows)
    dweights = np.zeros((-(-len(rows) // height), columns), rows.dtype)

    def work(block: slice) -> None:
        g, hat, out = rows[block], rows_hat[block], dx[block]
        product = g * hat
        np.add.reduce(product, axis=0, out=dweights[block.start // height])
        along = row_dots(product, weight)
        along *= 1.0 / max(columns, 1)
        np.multiply(g, weight, out=out)
        out -= np.multiply(hat, along, out=product)
        out *= inverse[block]

    for_row_blocks(work, len(rows), columns, height=height)
    return dx.reshape(grad.shape), dweights.sum(axis=0)


def column_sum(rows: Array, times: Array | None = None) -> Array:
    """Sum over the rows of (N, C), of `rows * times` if that is given.

    As a product with ones: BLAS streams it, `sum(axis=0)` strides.
    """
    if times is not None:
        return np.einsum("nc,nc->c", rows, times)
    return np.ones(len(rows), dtype=rows.dtype) @ rows


def by_way_of_float32(kernel: Callable[..., tuple[Array, ...]], *arrays: Array, **settings: float) -> Any:
    """A kernel on float16 arrays: computed in float32, since a sum along a row soon exceeds float16's 65504."""
    return tuple(result.astype(np.float16) for result in kernel(*(a.astype(np.float32) for a in arrays), **settings))


# ------------------------------------------------------------------------------------------------- shapes


def outputs(x: Array) -> tuple[Array, Array, Array, Array]:
    """x as a matrix (N, C), and memory for y (N, C), x_hat (N, C) and the inverse (N, 1)."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return rows, np.empty(rows.shape, x.dtype), np.empty(rows.shape, x.dtype), np.empty((len(rows), 1), x.dtype)


def matrices(grad: Array, x_hat: Array, inverse: Array) -> tuple[Array, Array, Array, Array]:
    """All three as matrices of N rows, and memory for dx."""
    rows = grad.reshape(math.prod(grad.shape[:-1]), grad.shape[-1])
    return rows, x_hat.reshape(rows.shape), inverse.reshape(-1, 1), np.empty(rows.shape, rows.dtype)


def column_block(rows: Array) -> int:
    """Rows in a block that leaves its column sums behind: at least 16, so that these stay few."""
    return max(16, block_rows(rows.shape[1]))


def inverse_root(square: Array, columns: int, eps: float, out: Array) -> None:
    """Write 1 / sqrt(square / columns + eps) into out; overwrites square."""
    square *= 1.0 / max(columns, 1)
    square += eps
    np.sqrt(square, out=square)
    np.divide(1.0, square, out=out)
