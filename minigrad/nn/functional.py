"""Functions on tensors that layers are made of: PyTorch's names, arguments and meanings."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops import fused
from minigrad.ops.linear import Linear
from minigrad.tensor import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X W^T + b.

    Args:
        x: (..., I).
        weight: (O, I).
        bias: (O,) or None.

    Returns:
        (..., O).

    Raises:
        ValueError: the last axis of x is not I.

    Cost: 2 I O FLOPs per row forward, twice that backward.
    """
    if bias is None:
        return x @ weight.T
    return Linear.apply(x, weight, bias)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return x.relu()


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """X Phi(x), Phi the normal distribution function; or its tanh form, which GPT-2 uses.

    Args:
        x: any shape.
        approximate: "none" or "tanh".

    Raises:
        ValueError: another form.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r} must be 'none' or 'tanh'")
    return fused.Gelu.apply(x, approximate=approximate)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """exp(x) / sum exp(x) along `dim`."""
    return fused.Softmax.apply(x, axis=dim)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Log of softmax along `dim`, finite where softmax underflows."""
    return fused.LogSoftmax.apply(x, axis=dim)


def cross_entropy(logits: Tensor, targets: Any) -> Tensor:
    """Mean of -log softmax(logits)[target] over the rows, in nats.

    Args:
        logits: (N, V) float.
        targets: (N,) integers in [0, V), array or tensor.

    Returns:
        Scalar tensor.

    Raises:
        ValueError: shapes that do not fit, no rows, or a target outside [0, V).
    """
    labels = targets.data if isinstance(targets, Tensor) else np.asarray(targets)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"cross_entropy needs logits (N, V) and targets (N,), got {logits.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"targets must be integers, got {labels.dtype}")
    if labels.size == 0:
        raise ValueError("cross_entropy over no rows has no mean; got logits of shape " + str(logits.shape))
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(f"targets must lie in [0, {logits.shape[1]}), got {labels.min()} to {labels.max()}")
    return fused.CrossEntropy.apply(logits, targets=labels)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Rows of (..., C) to mean 0 and variance 1, then scaled by weight (C,) and shifted by bias (C,)."""
    return fused.LayerNorm.apply(x, weight, bias, eps=eps)


def embedding(indices: Any, weight: Tensor) -> Tensor:
    """Rows of a table.

    Args:
        indices: (...) integers in [0, V), array or tensor.
        weight: (V, C).

    Returns:
        (..., C).

    Raises:
        ValueError: an index outside [0, V), or not an integer.
    """
    positions = indices.data if isinstance(indices, Tensor) else np.asarray(indices)
    if positions.dtype.kind not in "iu":
        raise ValueError(f"indices must be integers, got {positions.dtype}")
    if positions.size and (positions.min() < 0 or positions.max() >= weight.shape[0]):
        raise ValueError(
            f"indices must lie in [0, {weight.shape[0]}), got {positions.min()} to {positions.max()}"
        )
    return fused.Embedding.apply(weight, indices=positions)


def dropout(x: Tensor, p: float, training: bool, rng: np.random.Generator) -> Tensor:
    """Zero each element with probability p and divide the others by 1 - p, so that the mean stays.

    Args:
        x: any shape.
        p: in [0, 1).
        training: False returns x itself.
        rng: source of the mask.

    Source: Srivastava and others, Dropout, 2014 (in the inverted form in use today).
    """
    if not training or p == 0.0:
        return x
    kept = rng.random(x.shape, dtype=np.float32) >= p
    return x * Tensor.wrap(kept.astype(x.dtype) * (1.0 / (1.0 - p)))


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, is_causal: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(hd)) v.

    Args:
        query, key, value: (..., T, hd).
        is_causal: position t sees positions 0..t only.

    Returns:
        (..., T, hd).

    Cost: 4 T^2 hd FLOPs forward per head; keeps T^2 probabilities per head.

    Source: Vaswani and others, Attention Is All You Need, 2017, equation 1.
    """
    return fused.Attention.apply(query, key, value, causal=is_causal)


def packed_attention(qkv: Tensor, heads: int, is_causal: bool = True) -> Tensor:
    """Multi-head attention on queries, keys and values that one projection made side by side.

    Args:
        qkv: (B, T, 3 C).
        heads: divides C.
        is_causal: position t sees positions 0..t only.

    Returns:
        (B, T, C).

    Raises:
        ValueError: the last axis is not 3 * heads * something.
    """
    if qkv.ndim != 3 or qkv.shape[2] % (3 * heads):
        raise ValueError(f"packed_attention needs (B, T, 3 C) with C divisible by heads={heads}, got {qkv.shape}")
    return fused.PackedAttention.apply(qkv, heads=heads, causal=is_causal)
