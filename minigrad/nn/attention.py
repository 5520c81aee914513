"""Multi-head attention, with a cache for generation, and the transformer block around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.device import Array
from minigrad.kernels import kernels_for
from minigrad.kernels.cpu import causal_mask
from minigrad.nn import functional as F
from minigrad.nn.layers import Dropout, LayerNorm, Linear
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class KeyValueCache:
    """Keys and values of the positions already seen, so that a new token costs one position and not all of them.

    Args:
        batch, heads, length, channels: shape of the two arrays; `length` positions fit.
        dtype: of the numbers.
    """

    def __init__(self, batch: int, heads: int, length: int, channels: int, dtype: DTypeLike) -> None:
        self.key = np.empty((batch, heads, length, channels), dtype)
        self.value = np.empty_like(self.key)
        self.filled = 0

    def extend(self, key: Array, value: Array) -> tuple[Array, Array]:
        """Append (B, heads, t, hd) keys and values; returns all of them so far."""
        end = self.filled + key.shape[2]
        if end > self.key.shape[2]:
            raise ValueError(f"the cache holds {self.key.shape[2]} positions, {end} are needed")
        self.key[:, :, self.filled : end] = key
        self.value[:, :, self.filled : end] = value
        self.filled = end
        return self.key[:, :, :end], self.value[:, :, :end]


class CausalSelfAttention(Module):
    """Multi-head attention in which position t sees positions 0..t.

    Args:
        width: C, divisible by heads.
        heads: number of heads of C / heads channels each.
        rng: source of the initial values.
        dtype: of the parameters.

    Shapes: (B, T, C) to (B, T, C).

    Source: Vaswani and others, Attention Is All You Need, 2017, section 3.2.2.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if heads < 1 or width % heads:
            raise ValueError(f"width={width} must be divisible by heads={heads}")
        self.heads = heads
        self.qkv = Linear(width, 3 * width, rng=rng, dtype=dtype)  # one product instead of three
        self.projection = Linear(width, width, rng=rng, dtype=dtype)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(B, T, C) to (B, T, C); with a cache, x holds the new positions only, and no gradient is recorded."""
        if cache is None:
            return self.projection(F.packed_attention(self.qkv(x), self.heads, is_causal=True))
        B, T, C = x.shape
        packed = self.qkv(x).data.reshape(B, T, 3, self.heads, C // self.heads).transpose(2, 0, 3, 1, 4)
        key, value = cache.extend(packed[1], packed[2])
        mask = causal_mask(T, key.shape[2], key.dtype, first=key.shape[2] - T)
        mixed, _ = kernels_for(key).attention_forward(packed[0], key, value, False, mask)  # (B, heads, T, hd)
        return self.projection(Tensor.wrap(mixed.swapaxes(1, 2).reshape(B, T, C)))


class MultiHeadAttention(Module):
    """Attention of queries on keys and values that may come from elsewhere, each with its own projection.

    Args:
        width: C, divisible by heads.
        heads: number of heads.
        rng: source of the initial values.
        dtype: of the parameters.

    Shapes: query (B, T, C), key and value (B, S, C) to (B, T, C).

    Source: Vaswani and others, Attention Is All You Need, 2017, section 3.2.2.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if heads < 1 or width % heads:
            raise ValueError(f"width={width} must be divisible by heads={heads}")
        self.heads = heads
        self.query = Linear(width, width, rng=rng, dtype=dtype)
        self.key = Linear(width, width, rng=rng, dtype=dtype)
        self.value = Linear(width, width, rng=rng, dtype=dtype)
        self.projection = Linear(width, width, rng=rng, dtype=dtype)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        attn_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """(B, T, C) to (B, T, C); key and value are the query if left out."""
        key = query if key is None else key
        value = key if value is None else value
        q, k, v = self._heads(self.query(query)), self._heads(self.key(key)), self._heads(self.value(value))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask, is_causal)
        B, _, T, _ = mixed.shape
        return self.projection(mixed.swapaxes(1, 2).reshape(B, T, -1))

    def _heads(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        return x.reshape(B, T, self.heads, C // self.heads).swapaxes(1, 2)  # (B, heads, T, hd)


class TransformerBlock(Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): the pre-norm transformer block of GPT-2.

    Args:
        width, heads: of the attention; the hidden layer has 4 width.
        dropout: probability, on both branches.
        rng: source of the initial values and of the dropout.
        dtype: of the parameters.

    Shapes: (B, T, C) to (B, T, C).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = rng or np.random.default_rng()
        self.norm_1 = LayerNorm(width, dtype=dtype)
        self.attention = CausalSelfAttention(width, heads, rng=rng, dtype=dtype)
        self.norm_2 = LayerNorm(width, dtype=dtype)
        self.expand = Linear(width, 4 * width, rng=rng, dtype=dtype)
        self.contract = Linear(4 * width, width, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        x = x + self.dropout(self.attention(self.norm_1(x), cache))
        hidden = F.gelu(self.expand(self.norm_2(x)), approximate="tanh")
        return x + self.dropout(self.contract(hidden))
