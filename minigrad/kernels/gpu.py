"""Hand-written kernels on CuPy arrays: the same names and signatures as `cpu.py`, computed by `cuda/*.cu`.

What a function computes, with its formula and source, stands in `cpu.py`; how, in the CUDA file it launches. Here
stand the shapes of the launches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.device import Array
from minigrad.kernels.convolution_cpu import col2im, im2col  # slices only: they serve both devices
from minigrad.kernels.launch_cuda import (
    blocks_for,
    check_arrays,
    contiguous,
    launch,
    launch_elementwise,
    launch_rows,
    require_gpu,
)

__all__ = [
    "adamw_update", "attention_backward", "attention_forward", "bias_gelu_backward", "bias_gelu_forward",
    "blockwise_attention_backward", "blockwise_attention_forward", "col2im", "column_sum", "cross_entropy_backward",
    "cross_entropy_forward", "dropout", "embedding_backward", "embedding_forward", "gelu_backward",
    "gelu_backward_from_slope", "gelu_forward", "gelu_forward_with_slope", "im2col", "layer_norm_backward",
    "layer_norm_forward", "matmul", "normal_cdf", "packed_attention_backward", "packed_attention_forward",
    "require_gpu", "rms_norm_backward", "rms_norm_forward", "sgd_update", "softmax_backward", "softmax_forward",
    "sum_of_squares",
]  # fmt: skip

# --------------------------------------------------------------------------------------------- elementwise

GELU_FORMS = {"none": "exact", "tanh": "tanh"}


def gelu_forward(x: Array, approximate: str = "none") -> Array:
    """Gaussian error linear unit. Cost: 8 bytes of memory traffic per float32 element."""
    return launch_elementwise("gelu.cu", f"gelu_forward_{gelu_form(approximate)}", {"x": x})[0]


def gelu_backward(grad: Array, x: Array, approximate: str = "none") -> Array:
    """Gradient of `gelu_forward` in the same form. Cost: 12 bytes per float32 element."""
    return launch_elementwise("gelu.cu", f"gelu_backward_{gelu_form(approximate)}", {"grad": grad, "x": x})[0]


def gelu_forward_with_slope(x: Array, approximate: str = "none") -> tuple[Array, Array | None]:
    """(gelu of x, None): the derivative is cheaper to compute again than to write and read."""
    return gelu_forward(x, approximate), None


def gelu_backward_from_slope(grad: Array, slope: Array) -> Array:
    """grad times a derivative that somebody kept."""
    return grad * slope


def gelu_form(approximate: str) -> str:
    """The word that names this form in the kernels' names."""
    if approximate not in GELU_FORMS:
        raise ValueError(f"approximate={approximate!r} is not known; use 'none' or 'tanh'")
    return GELU_FORMS[approximate]


def normal_cdf(x: Array) -> tuple[Array, Array]:
    """The normal distribution function Phi(x), and exp(-x^2 / 2)."""
    phi, bell = launch_elementwise("gelu.cu", "normal_cdf", {"x": x}, outputs=2)
    return phi, bell


def bias_gelu_forward(x: Array, bias: Array) -> Array:
    """gelu(x + bias) in the tanh form, in one kernel. x (..., C), bias (C,). Cost: 8 bytes per float32 element."""
    dtype = check_arrays(x=x, bias=bias)
    x, bias = contiguous(x, bias)
    y = require_gpu().empty_like(x)
    launch_flat("bias_gelu.cu", f"bias_gelu_forward_{dtype}", (x, bias, y), x.size, bias.size)
    return y


def bias_gelu_backward(grad: Array, x: Array, bias: Array) -> tuple[Array, Array]:
    """Gradients (dx, dbias) of `bias_gelu_forward`."""
    dtype = check_arrays(grad=grad, x=x, bias=bias)
    grad, x, bias = contiguous(grad, x, bias)
    dx = require_gpu().empty_like(x)
    launch_flat("bias_gelu.cu", f"bias_gelu_backward_{dtype}", (grad, x, bias, dx), x.size, bias.size)
    return dx, column_sum(dx.reshape(-1, bias.size))


def launch_flat(file_name: str, kernel_name: str, args: tuple[Any, ...], n: int, *sizes: int) -> None:
    """Run `name(args..., n, sizes...)` with a thread for each of n elements."""
    launch(file_name, kernel_name, (blocks_for(n, 256),), (256,), (*args, np.int64(n), *map(np.int64, sizes)))


def dropout(x: Array, p: float, seed: int, call: int) -> Array:
    """x / (1 - p) where a random number of (seed, call, place) keeps it, else 0.

    The backward is the same function on the gradient with the same seed and call: no mask is stored.

    Args:
        x: any shape.
        p: probability of dropping an element, 0 <= p < 1.
        seed, call: 64-bit integers; the call tells uses of one seed apart.
    """
    dtype = check_arrays(x=x)
    (x,) = contiguous(x)
    y = require_gpu().empty_like(x)
    numbers = (np.uint64(seed), np.uint64(call), np.uint32(min(int(p * 2**32), 2**32 - 1)), dtype.type(1 / (1 - p)))
    quads = -(-x.size // 4)  # a thread makes four random numbers at once
    launch("dropout.cu", f"dropout_{dtype}", (blocks_for(quads, 256),), (256,), (x, y, np.int64(x.size), *numbers))
    return y


# ---------------------------------------------------------------------------------------------------- rows


def softmax_forward(x: Array, axis: int = -1) -> Array:
    """Softmax along `axis`. Cost: 8 to 12 bytes per float32 element."""
    dtype = check_arrays(x=x)
    (rows,) = contiguous(np.moveaxis(x, axis, -1))
    y = require_gpu().empty_like(rows)
    launch_rows("softmax.cu", f"softmax_forward_{dtype}", (rows, y), *row_shape(rows))
    return np.moveaxis(y, -1, axis)


def softmax_backward(grad: Array, y: Array, axis: int = -1) -> Array:
    """Gradient of softmax from its output y."""
    dtype = check_arrays(grad=grad, y=y)
    grad, y = contiguous(np.moveaxis(grad, axis, -1), np.moveaxis(y, axis, -1))
    dx = require_gpu().empty_like(y)
    launch_rows("softmax.cu", f"softmax_backward_{dtype}", (grad, y, dx), *row_shape(y))
    return np.moveaxis(dx, -1, axis)


def row_shape(x: Array) -> tuple[int, int]:
    """(number of rows, their length) of an array whose last axis is a row."""
    return (0, 0) if x.size == 0 else (x.size // x.shape[-1], x.shape[-1])


def cross_entropy_forward(logits: Array, targets: Array) -> tuple[Array, Array]:
    """(losses (N,), log of the sum of exponentials (N,)) of logits (N, V) and targets (N,)."""
    dtype = check_arrays(logits=logits)
    cupy = require_gpu()
    (logits,) = contiguous(logits)
    losses, log_sums = cupy.empty(len(logits), dtype), cupy.empty(len(logits), dtype)
    args = (logits, cupy.ascontiguousarray(targets, dtype=np.int64), losses, log_sums)
    launch_rows("cross_entropy.cu", f"cross_entropy_forward_{dtype}", args, *logits.shape)
    return losses, log_sums


def cross_entropy_backward(grad: Array, logits: Array, targets: Array, log_sum: Array) -> Array:
    """softmax(logits) - one_hot(targets), each row times its grad (N,)."""
    dtype = check_arrays(grad=grad, logits=logits, log_sum=log_sum)
    cupy = require_gpu()
    grad, logits, log_sum = contiguous(grad, logits, log_sum)
    dlogits = cupy.empty_like(logits)
    args = (grad, logits, cupy.ascontiguousarray(targets, dtype=np.int64), log_sum, dlogits)
    launch_rows("cross_entropy.cu", f"cross_entropy_backward_{dtype}", args, *logits.shape)
    return dlogits


def layer_norm_forward(x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    """(y (..., C), x_hat (..., C), inverse deviation (..., 1)). Cost: 12 bytes per float32 element."""
    dtype = check_arrays(x=x, weight=weight, bias=bias)
    x, weight, bias = contiguous(x, weight, bias)
    y, x_hat, inverse = norm_outputs(x)
    args = (x, weight, bias, y, x_hat, inverse, dtype.type(eps))
    launch_rows("norms.cu", f"layer_norm_forward_{dtype}", args, *row_shape(x))
    return y, x_hat, inverse


def layer_norm_backward(
    grad: Array, x_hat: Array, inverse_deviation: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """Gradients (dx, dweight, dbias) of layer norm, from what its forward kept."""
    dx, dweight = norm_backward("layer_norm", grad, x_hat, inverse_deviation, weight)
    return dx, dweight, column_sum(grad.reshape(-1, weight.size))


def rms_norm_forward(x: Array, weight: Array, eps: float) -> tuple[Array, Array, Array]:
    """(y (..., C), x_hat (..., C), 1 / rms (..., 1))."""
    dtype = check_arrays(x=x, weight=weight)
    x, weight = contiguous(x, weight)
    y, x_hat, inverse = norm_outputs(x)
    launch_rows(
        "norms.cu", f"rms_norm_forward_{dtype}", (x, weight, y, x_hat, inverse, dtype.type(eps)), *row_shape(x)
    )
    return y, x_hat, inverse


def rms_norm_backward(grad: Array, x_hat: Array, inverse_rms: Array, weight: Array) -> tuple[Array, Array]:
    """Gradients (dx, dweight) of RMS norm, from what its forward kept."""
    return norm_backward("rms_norm", grad, x_hat, inverse_rms, weight)


def norm_outputs(x: Array) -> tuple[Array, Array, Array]:
    """Memory for what a norm's forward returns."""
    cupy = require_gpu()
    return cupy.empty_like(x), cupy.empty_like(x), cupy.empty((*x.shape[:-1], 1), x.dtype)


def norm_backward(name: str, grad: Array, x_hat: Array, inverse: Array, weight: Array) -> tuple[Array, Array]:
    """(dx, dweight) of either norm."""
    dtype = check_arrays(grad=grad, x_hat=x_hat, inverse=inverse, weight=weight)
    grad, x_hat, inverse, weight = contiguous(grad, x_hat, inverse, weight)
    dx = require_gpu().empty_like(x_hat)
    launch_rows("norms.cu", f"{name}_backward_{dtype}", (grad, x_hat, inverse, weight, dx), *row_shape(x_hat))
    return dx, column_sum(grad.reshape(-1, weight.size), x_hat.reshape(-1, weight.size))


# ---------------------------------------------------------------------------------------------- reductions


def column_sum(rows: Array, times: Array | None = None) -> Array:
    """Sum over the rows of (N, C), of `rows * times` if that is given: two launches, the same bits every time."""
    dtype = check_arrays(rows=rows)
    cupy = require_gpu()
    count, columns = rows.shape
    runs = max(1, min(count // 64, 64))  # enough blocks for tall, narrow matrices
    partial, total = cupy.empty((runs, columns), dtype), cupy.empty(columns, dtype)
    across = -(-columns // 32)
    name = "column_sum" if times is None else "column_sum_of_product"
    inputs = contiguous(rows) if times is None else contiguous(rows, times)
    sizes = (np.int64(count), np.int64(columns))
    launch("reductions.cu", f"{name}_{dtype}", (across, runs), (32, 8), (*inputs, partial, *sizes))
    if runs == 1:
        return partial[0]
    launch("reductions.cu", f"column_sum_{dtype}", (across, 1), (32, 8), (partial, total, np.int64(runs), sizes[1]))
    return total


def sum_of_squares(x: Array) -> Array:
    """Sum of the squares of all elements, a 0-d array: a gradient's norm is its root."""
    dtype = check_arrays(x=x)
    cupy = require_gpu()
    (x,) = contiguous(x)
    blocks = max(1, min(blocks_for(x.size, 256), 1024))
    partial, total = cupy.empty(blocks, dtype), cupy.empty(1, dtype)
    launch("reductions.cu", f"sum_of_squares_{dtype}", (blocks,), (256,), (x, partial, np.int64(x.size)))
    launch("reductions.cu", f"sum_{dtype}", (1,), (256,), (partial, total, np.int64(blocks)))
    return total[0]


# ----------------------------------------------------------------------------------------------- embedding


def embedding_forward(table: Array, indices: Array) -> Array:
    """Rows of the table (V, C) by indices (...): (..., C)."""
    dtype = check_arrays(table=table)
    cupy = require_gpu()
    (table,) = contiguous(table)
    flat = cupy.ascontiguousarray(indices, dtype=np.int64).reshape(-1)
    y = cupy.empty((*indices.shape, table.shape[1]), dtype)
    launch_rows("embedding.cu", f"embedding_forward_{dtype}", (table, flat, y), flat.size, table.shape[1])
    return y


def embedding_backward(grad: Array, indices: Array, rows: int) -> Array:
    """Add each row of grad to the row of the table it was read from; the indices are sorted for a fixed order."""
    dtype = check_arrays(grad=grad)
    cupy = require_gpu()
    (grad,) = contiguous(grad)
    flat = cupy.ascontiguousarray(indices, dtype=np.int64).reshape(-1)
    order = cupy.argsort(flat, kind="stable").astype(np.int64)
    dtable = cupy.zeros((rows, grad.shape[-1]), dtype)
    args = (grad, flat, order, dtable)
    launch_rows("embedding.cu", f"embedding_backward_sorted_{dtype}", args, flat.size, grad.shape[-1])
    return dtable


# -------------------------------------------------------------------------------------------------- matmul

MATMUL_TILES = {"naive": (32, 8, (32, 8)), "tiled": (16, 16, (16, 16)), "registers": (64, 64, (256,))}
"""Of each rung of the ladder in matmul.cu: columns and rows of C that a block computes, and the block."""

MAX_BATCH = 65535  # of CUDA: the largest grid along z


def matmul(a: Array, b: Array, variant: str = "registers") -> Array:
    """Matrix product over the last two axes; transposed views are read where they lie.

    Args:
        a: (..., M, K), or (K,).
        b: (..., K, N), or (K,); leading axes broadcast.
        variant: "naive", "tiled" or "registers", the rungs of cuda/matmul.cu.

    Raises:
        ValueError: the inner sizes differ, or the variant is not known.

    Cost: 2 M N K operations a product.
    """
    if variant not in MATMUL_TILES:
        raise ValueError(f"variant={variant!r} is not known; use one of {', '.join(MATMUL_TILES)}")
    if b.ndim == 1:
        return matmul(a, b[:, None], variant)[..., 0]
    if a.ndim == 1:
        return matmul(a[None], b, variant)[..., 0, :]
    dtype = check_arrays(a=a, b=b)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"a has shape {a.shape}, whose last axis must be as long as the second last of b's {b.shape}")
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:  # one tall product instead of a batch
        return matmul(a.reshape(-1, a.shape[-1]), b, variant).reshape(*a.shape[:-1], b.shape[-1])
    cupy = require_gpu()
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    M, K, N = *a.shape[-2:], b.shape[-1]
    c = cupy.zeros((*batch, M, N), dtype) if K == 0 else cupy.empty((*batch, M, N), dtype)
    if c.size == 0 or K == 0:
        return c
    (a, transposed_a, stride_a), (b, transposed_b, stride_b) = operand(a, batch), operand(b, batch)
    flags = (np.bool_(transposed_a), np.bool_(transposed_b))
    across, down, block = MATMUL_TILES[variant]
    products = a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), c.reshape(-1, M, N)
    for first in range(0, math.prod(batch), MAX_BATCH):
        count = min(MAX_BATCH, math.prod(batch) - first)
        grid = (-(-N // across), -(-M // down), count)
        parts = [x[first * (stride != 0) :] for x, stride in zip(products, (stride_a, stride_b, M * N), strict=True)]
        sizes = (np.int32(M), np.int32(N), np.int32(K), *flags, *map(np.int64, (stride_a, stride_b, M * N)))
        launch("matmul.cu", f"matmul_{variant}_{dtype}", grid, block, (*parts, *sizes))
    return c


def operand(x: Array, batch: tuple[int, ...]) -> tuple[Array, bool, int]:
    """A matrix or batch of matrices as the kernel wants it: (memory, read as its transpose?, stride in elements).

    One matrix for the whole batch has stride 0; batches that broadcast otherwise are copied out.
    """
    cupy = require_gpu()
    if x.shape[:-2] != batch and math.prod(x.shape[:-2]) != 1:
        x = cupy.ascontiguousarray(cupy.broadcast_to(x, (*batch, *x.shape[-2:])))
    stride = 0 if math.prod(x.shape[:-2]) == 1 else x.shape[-1] * x.shape[-2]
    flipped = x.swapaxes(-1, -2)
    if not x.flags.c_contiguous and flipped.flags.c_contiguous:
        return flipped, True, stride
    return cupy.ascontiguousarray(x), False, stride


# ----------------------------------------------------------------------------------------------- attention


def attention_forward(
    query: Array, key: Array, value: Array, causal: bool, mask: Array | None = None
) -> tuple[Array, Array]:
    """(output (..., T, hd), probabilities (..., T, T)); `blockwise_attention_forward` never stores the second."""
    scores = matmul(query, key.swapaxes(-1, -2))
    scores *= 1.0 / math.sqrt(query.shape[-1])
    if mask is not None:
        scores += mask
    if causal:
        hidden = require_gpu().triu(require_gpu().ones(scores.shape[-2:], bool), k=1)
        scores[..., hidden] = -np.inf
    probabilities = softmax_forward(scores)
    return matmul(probabilities, value), probabilities


def attention_backward(
    grad: Array, query: Array, key: Array, value: Array, probabilities: Array
) -> tuple[Array, Array, Array]:
    """Gradients (dquery, dkey, dvalue)."""
    dvalue = matmul(probabilities.swapaxes(-1, -2), grad)
    dscores = softmax_backward(matmul(grad, value.swapaxes(-1, -2)), probabilities)
    dscores *= 1.0 / math.sqrt(query.shape[-1])
    return matmul(dscores, key), matmul(dscores.swapaxes(-1, -2), query), dvalue


def packed_attention_forward(qkv: Array, heads: int, causal: bool) -> tuple[Array, Array]:
    """Multi-head attention on one packed projection (B, T, 3 C): (output (B, T, C), probabilities)."""
    B, T, width = qkv.shape
    out, probabilities = attention_forward(*split_heads(qkv, heads), causal)
    return out.swapaxes(1, 2).reshape(B, T, width // 3), probabilities


def packed_attention_backward(grad: Array, qkv: Array, out: Array, probabilities: Array, heads: int) -> Array:
    """Gradient of the packed projection; the output is not needed, since the probabilities are kept."""
    B, T, C = grad.shape
    grad_heads = grad.reshape(B, T, heads, C // heads).swapaxes(1, 2)
    dqkv = require_gpu().empty_like(qkv)
    parts = attention_backward(grad_heads, *split_heads(qkv, heads), probabilities)
    for target, part in zip(split_heads(dqkv, heads), parts, strict=True):
        target[...] = part
    return dqkv


def split_heads(qkv: Array, heads: int) -> tuple[Array, Array, Array]:
    """Views (B, heads, T, hd) of the queries, keys and values in a packed (B, T, 3 C)."""
    B, T, width = qkv.shape
    views = qkv.reshape(B, T, 3, heads, width // (3 * heads)).transpose(2, 0, 3, 1, 4)
    return views[0], views[1], views[2]


ROWS = 32  # of attention.cu: queries a block owns
WARPS = 8
LARGEST_HEAD = 128


def blockwise_attention_forward(
    query: Array, key: Array, value: Array, causal: bool, block: int
) -> tuple[Array, Array]:
    """(output (..., T, hd), log of the sum of exponentials (..., T, 1)); the scores never reach memory.

    `block` is the CPU's block of keys; here the tile is 32.

    Raises:
        ValueError: a head of more than 128 dimensions.
    """
    dtype = check_arrays(query=query, key=key, value=value)
    query, key, value = contiguous(query, key, value)
    out, log_sums = require_gpu().empty_like(query), require_gpu().empty((*query.shape[:-1], 1), dtype)
    launch_attention("forward", query, key, (query, key, value, out, log_sums), causal, query.shape[-2], tiles=3)
    return out, log_sums


def blockwise_attention_backward(
    grad: Array, query: Array, key: Array, value: Array, out: Array, log_sum: Array, causal: bool, block: int
) -> tuple[Array, Array, Array]:
    """Gradients (dquery, dkey, dvalue), with the probabilities computed again."""
    dtype = check_arrays(grad=grad, query=query, key=key, value=value, out=out, log_sum=log_sum)
    cupy = require_gpu()
    grad, query, key, value, out, log_sum = contiguous(grad, query, key, value, out, log_sum)
    sums = cupy.empty_like(log_sum)
    launch_rows("attention.cu", f"attention_row_sums_{dtype}", (grad, out, sums), *row_shape(out))
    dquery, dkey, dvalue = cupy.empty_like(query), cupy.empty_like(key), cupy.empty_like(value)
    saved = (grad, query, key, value, log_sum, sums)
    launch_attention("backward_query", query, key, (*saved, dquery), causal, query.shape[-2], tiles=4)
    launch_attention("backward_key_value", query, key, (*saved, dkey, dvalue), causal, key.shape[-2], tiles=4)
    return dquery, dkey, dvalue


def launch_attention(
    name: str, query: Array, key: Array, args: tuple[Any, ...], causal: bool, owned: int, tiles: int
) -> None:
    """Launch one of attention.cu's kernels: a block for each 32 of `owned` rows and each (batch, head) pair."""
    width = query.shape[-1]
    if width > LARGEST_HEAD:
        raise ValueError(f"query has a head dimension of {width}; the kernel takes at most {LARGEST_HEAD}")
    heads = math.prod(query.shape[:-2])
    scalar = query.dtype.type
    weights = 2 if name == "backward_key_value" else 1
    shared_bytes = (tiles * ROWS * (width + 1) + weights * WARPS * ROWS) * query.dtype.itemsize
    sizes = (np.int32(query.shape[-2]), np.int32(key.shape[-2]), np.int32(width))
    grid, block = (-(-owned // ROWS), heads), (32, WARPS)
    args = (*args, *sizes, np.bool_(causal), scalar(1.0 / math.sqrt(width)))
    launch("attention.cu", f"attention_{name}_{query.dtype}", grid, block, args, shared_bytes)


# ---------------------------------------------------------------------------------------------- optimizers


def adamw_update(
    param: Array, grad: Array, mean: Array, square: Array, lr: float, betas: tuple[float, float], eps: float,
    weight_decay: float, t: int,
) -> None:  # fmt: skip
    """One AdamW step in place on param, mean and square; all C-contiguous. Cost: 28 bytes per float32 element."""
    dtype = check_arrays(param=param, grad=grad, mean=mean, square=square)
    corrections = (1.0 - betas[0] ** t, 1.0 - betas[1] ** t)
    numbers = map(dtype.type, (lr, *betas, eps, weight_decay, *corrections))
    arrays = (param, contiguous(grad)[0], mean, square)
    grid = (blocks_for(param.size, 256),)
    launch("optimizers.cu", f"adamw_{dtype}", grid, (256,), (*arrays, np.int64(param.size), *numbers))


def sgd_update(
    param: Array, grad: Array, velocity: Array | None, lr: float, momentum: float, weight_decay: float
) -> None:
    """One step of SGD with momentum in place on param and velocity; both C-contiguous."""
    if velocity is None:
        velocity = require_gpu().zeros_like(param)
    dtype = check_arrays(param=param, grad=grad, velocity=velocity)
    numbers = map(dtype.type, (lr, momentum, weight_decay))
    arrays = (param, contiguous(grad)[0], velocity)
    grid = (blocks_for(param.size, 256),)
    launch("optimizers.cu", f"sgd_{dtype}", grid, (256,), (*arrays, np.int64(param.size), *numbers))
