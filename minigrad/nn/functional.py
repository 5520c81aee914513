"""Functions on tensors that layers are made of: PyTorch's names, arguments and meanings."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.nn.image import avg_pool2d, conv1d, conv2d, max_pool2d
from minigrad.ops import attention, fused
from minigrad.ops.elementwise import LeakyRelu, Relu, Softplus
from minigrad.ops.linear import Linear
from minigrad.tensor import Tensor, as_float

__all__ = [
    "avg_pool2d", "binary_cross_entropy_with_logits", "blockwise_attention", "conv1d", "conv2d", "cross_entropy",
    "dropout", "embedding", "gelu", "layer_norm", "leaky_relu", "linear", "log_softmax", "max_pool2d", "mse_loss",
    "nll_loss", "packed_attention", "relu", "rms_norm", "scaled_dot_product_attention", "silu", "softmax", "softplus",
]  # fmt: skip


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b.

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
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"linear needs weight (O, I) and bias (O,), got {weight.shape} and {bias.shape}")
    return Linear.apply(_like(x, weight), weight, bias)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return Relu.apply(x)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the normal distribution function; or its tanh form, which GPT-2 uses.

    Args:
        x: any shape.
        approximate: "none" or "tanh".

    Raises:
        ValueError: another form.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r} must be 'none' or 'tanh'")
    return fused.Gelu.apply(as_float(x), approximate=approximate)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return LeakyRelu.apply(x, slope=negative_slope)


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x), also called swish."""
    return x * x.sigmoid()


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    return Softplus.apply(x)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """exp(x) / sum exp(x) along `dim`."""
    return fused.Softmax.apply(as_float(x), axis=dim)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """log of softmax along `dim`, finite where softmax underflows."""
    return fused.LogSoftmax.apply(as_float(x), axis=dim)


def cross_entropy(
    logits: Tensor, targets: Any, ignore_index: int = -100, label_smoothing: float = 0.0
) -> Tensor:
    """Mean of -log softmax(logits)[target] over the rows, in nats.

    Args:
        logits: (N, V) float.
        targets: (N,) integers in [0, V), array or tensor.
        ignore_index: rows with this target count for nothing, neither in the sum nor in the number of rows.
        label_smoothing: in [0, 1]: this share of the target is spread evenly over all classes.

    Returns:
        Scalar tensor.

    Raises:
        ValueError: shapes that do not fit, no rows, or a target outside [0, V).
    """
    labels = _labels("cross_entropy", logits, targets)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 1]")
    kept = labels != ignore_index
    if not kept.all():
        logits, labels = logits[np.flatnonzero(kept)], labels[kept]
    _check_classes("cross_entropy", labels, logits.shape)
    likelihood: Tensor = fused.CrossEntropy.apply(logits, targets=labels)
    if label_smoothing == 0.0:
        return likelihood
    spread = -log_softmax(logits).mean()
    return likelihood * (1.0 - label_smoothing) + spread * label_smoothing


def nll_loss(log_probabilities: Tensor, targets: Any) -> Tensor:
    """Mean of -log_probabilities[target]: what is left of cross-entropy after log_softmax.

    Args:
        log_probabilities: (N, V).
        targets: (N,) integers in [0, V).
    """
    labels = _labels("nll_loss", log_probabilities, targets)
    _check_classes("nll_loss", labels, log_probabilities.shape)
    return -log_probabilities[np.arange(len(labels)), labels].mean()


def mse_loss(prediction: Tensor, target: Any) -> Tensor:
    """Mean squared difference.

    Raises:
        ValueError: shapes that differ; broadcasting here is nearly always a mistake.
    """
    wanted = target if isinstance(target, Tensor) else Tensor(np.asarray(target, dtype=prediction.dtype))
    if prediction.shape != wanted.shape:
        raise ValueError(f"mse_loss needs equal shapes, got {prediction.shape} and {wanted.shape}")
    difference = prediction - wanted
    return (difference * difference).mean()


def binary_cross_entropy_with_logits(logits: Tensor, targets: Any) -> Tensor:
    """Mean of -y log sigmoid(x) - (1 - y) log(1 - sigmoid(x)), as softplus(x) - x y, which cannot overflow.

    Args:
        logits: any shape.
        targets: of the same shape, in [0, 1].
    """
    wanted = targets if isinstance(targets, Tensor) else Tensor(np.asarray(targets, dtype=logits.dtype))
    if logits.shape != wanted.shape:
        raise ValueError(
            f"binary_cross_entropy_with_logits needs equal shapes, got {logits.shape} and {wanted.shape}"
        )
    return (softplus(logits) - logits * wanted).mean()


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """Rows of (..., C) divided by their root mean square, times weight (C,)."""
    _check_channels("rms_norm", x, weight)
    return fused.RMSNorm.apply(_like(x, weight), weight, eps=eps)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Rows of (..., C) to mean 0 and variance 1, then scaled by weight (C,) and shifted by bias (C,)."""
    _check_channels("layer_norm", x, weight, bias)
    return fused.LayerNorm.apply(_like(x, weight), weight, bias, eps=eps)


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
    positions = np.array(indices.data if isinstance(indices, Tensor) else indices)  # as they are now
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
    if not 0.0 <= p < 1.0:
        raise ValueError(f"p={p} must lie in [0, 1)")
    if not training or p == 0.0:
        return x
    kept = rng.random(x.shape, dtype=np.float32) >= p
    return x * Tensor.wrap(kept.astype(x.dtype) * (1.0 / (1.0 - p)))


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, is_causal: bool = False
) -> Tensor:
    """softmax(q k^T / sqrt(hd)) v.

    Args:
        query, key, value: (..., T, hd).
        attn_mask: broadcast to (..., T, T): booleans, True where a key may be seen, or numbers added to the scores.
        is_causal: query t sees keys 0..t only, also where there are more keys or fewer.

    Returns:
        (..., T, hd). A query that may see nothing gives NaN, as in PyTorch.

    Cost: 4 T^2 hd FLOPs forward per head; keeps T^2 probabilities per head.

    Source: Vaswani and others, Attention Is All You Need, 2017, equation 1.
    """
    return attention.Attention.apply(query, key, value, causal=is_causal, mask=_additive(attn_mask, query.dtype))


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
    return attention.PackedAttention.apply(qkv, heads=heads, causal=is_causal)


def blockwise_attention(
    query: Tensor, key: Tensor, value: Tensor, is_causal: bool = False, block: int = 64
) -> Tensor:
    """The same as `scaled_dot_product_attention`, in memory that grows with T and not with T^2.

    Args:
        query, key, value: (..., T, hd).
        is_causal: position t sees positions 0..t only.
        block: keys looked at together.

    Raises:
        ValueError: block below 1, or causal with queries and keys of different lengths.

    Cost: forward as the plain form; the backward computes the scores again. Keeps T numbers per head.

    Source: Dao and others, FlashAttention, 2022.
    """
    if block < 1:
        raise ValueError(f"block={block} must be at least 1")
    if is_causal and query.shape[-2] != key.shape[-2]:
        raise ValueError(f"causal attention needs as many queries as keys, got {query.shape} and {key.shape}")
    return attention.BlockwiseAttention.apply(query, key, value, causal=is_causal, block=block)


def _labels(name: str, scores: Tensor, targets: Any) -> np.ndarray:
    """A copy of the target classes, (N,) integers for scores (N, V)."""
    labels = np.array(targets.data if isinstance(targets, Tensor) else targets)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"{name} needs scores (N, V) and targets (N,), got {scores.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name}: targets must be integers, got {labels.dtype}")
    return labels


def _check_classes(name: str, labels: np.ndarray, shape: tuple[int, ...]) -> None:
    if labels.size == 0:
        raise ValueError(f"{name} over no rows has no mean; got scores of shape {shape}")
    if labels.min() < 0 or labels.max() >= shape[1]:
        raise ValueError(f"{name}: targets must lie in [0, {shape[1]}), got {labels.min()} to {labels.max()}")


def _check_channels(name: str, x: Tensor, *parameters: Tensor) -> None:
    for parameter in parameters:
        if x.ndim < 1 or parameter.shape != x.shape[-1:]:
            raise ValueError(f"{name} needs x (..., C) and parameters (C,), got {x.shape} and {parameter.shape}")


def _like(x: Tensor, parameter: Tensor) -> Tensor:
    """Integers in the parameter's dtype; floats as they are."""
    return x if not isinstance(x, Tensor) or x.dtype.kind == "f" else x.to(parameter.dtype)


def _additive(mask: Any, dtype: np.dtype[Any]) -> Any:
    """Booleans to 0 and -inf; numbers as they are."""
    if mask is None:
        return None
    if isinstance(mask, Tensor) and mask.requires_grad:
        raise ValueError("attn_mask requires a gradient, and none is computed for it; detach() it")
    numbers = mask.data if isinstance(mask, Tensor) else np.asarray(mask)
    return np.where(numbers, 0.0, -np.inf).astype(dtype) if numbers.dtype == bool else numbers.astype(dtype)
