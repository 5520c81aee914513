"""Attention: the plain form, heads packed side by side, and the form that never builds the T x T matrix."""

from __future__ import annotations

import math
from typing import Any

from minigrad.autograd import Fused
from minigrad.device import Array
from minigrad.kernels import kernels_for
from minigrad.kernels.cpu import causal_mask
from minigrad.ops.fused import Softmax


class Attention(Fused):
    """softmax(q k^T / sqrt(hd)) v for query, key, value (..., T, hd)."""

    def forward(
        self, query: Array, key: Array, value: Array, *, causal: bool = False, mask: Array | None = None
    ) -> Array:
        out, self.probabilities = kernels_for(query).attention_forward(query, key, value, causal, mask)
        return out

    def backward(self, grad: Any, query: Any, key: Any, value: Any) -> tuple[Any, ...]:
        return kernels_for(query).attention_backward(
            grad, query, key, value, self.probabilities
        )

    @staticmethod
    def composite(
        query: Any, key: Any, value: Any, *, causal: bool = False, mask: Array | None = None
    ) -> Any:
        """The formula, with the masks added to the scores."""
        scores = query @ key.swapaxes(-1, -2) * (1.0 / math.sqrt(query.shape[-1]))
        if mask is not None:
            scores = scores + mask
        if causal:
            scores = scores + causal_mask(scores.shape[-2], scores.shape[-1], scores.dtype)
        return Softmax.apply(scores) @ value


class PackedAttention(Fused):
    """Multi-head attention on packed queries, keys and values (B, T, 3 C): out (B, T, C)."""

    keeps_output = True

    def forward(self, qkv: Array, *, heads: int, causal: bool = True) -> Array:
        self.heads = heads
        out, self.weights = kernels_for(qkv).packed_attention_forward(qkv, heads, causal)
        return out

    def backward(self, grad: Any, qkv: Any, out: Any) -> tuple[Any]:
        return (kernels_for(qkv).packed_attention_backward(grad, qkv, out, self.weights, self.heads),)

    @staticmethod
    def composite(qkv: Any, *, heads: int, causal: bool = True) -> Any:
        """Cut the heads apart, attend, put them side by side again."""
        B, T, width = qkv.shape
        parts = qkv.reshape(B, T, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
        out = Attention.composite(parts[0], parts[1], parts[2], causal=causal)  # (B, heads, T, hd)
        return out.swapaxes(1, 2).reshape(B, T, width // 3)


class BlockwiseAttention(Fused):
    """The same function as `Attention`, a block of keys at a time; keeps O(T) and not O(T^2) numbers."""

    keeps_output = True

    def forward(
        self, query: Array, key: Array, value: Array, *, causal: bool = False, block: int = 64
    ) -> Array:
        self.causal, self.block = causal, block
        out, self.log_sum = kernels_for(query).blockwise_attention_forward(query, key, value, causal, block)
        return out

    def backward(self, grad: Any, query: Any, key: Any, value: Any, out: Any) -> tuple[Any, ...]:
        return kernels_for(query).blockwise_attention_backward(
            grad, query, key, value, out, self.log_sum, self.causal, self.block
        )

    @staticmethod
    def composite(query: Any, key: Any, value: Any, *, causal: bool = False, block: int = 64) -> Any:
        """Plain attention."""
        return Attention.composite(query, key, value, causal=causal)
