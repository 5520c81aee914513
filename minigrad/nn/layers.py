"""Layers: a few parameters and one function each.

Initial values are drawn from the generator that is passed in; without one, from a fresh one of their own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.nn import functional as F
from minigrad.nn.generators import current
from minigrad.nn.module import Module, Parameter
from minigrad.tensor import Tensor


class Linear(Module):
    """y = x W^T + b.

    Args:
        in_features, out_features: I and O.
        bias: add b.
        rng: source of the initial values, uniform in +-1/sqrt(I) as PyTorch draws them.
        dtype: of the parameters.

    Shapes: x (..., I) to y (..., O); weight (O, I), bias (O,).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear needs at least one feature on both sides, got {in_features} and {out_features}")
        rng = rng or np.random.default_rng()
        bound = 1.0 / math.sqrt(in_features)
        self.weight = Parameter(rng.uniform(-bound, bound, (out_features, in_features)), dtype)
        self.bias = Parameter(rng.uniform(-bound, bound, out_features), dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes."""
        out_features, in_features = self.weight.shape
        return f"{in_features}, {out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A table of `num_embeddings` rows of `embedding_dim` numbers, looked up by integer.

    Args:
        num_embeddings, embedding_dim: V and C.
        rng: source of the initial values, standard normal.
        dtype: of the table.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = rng or np.random.default_rng()
        self.weight = Parameter(rng.standard_normal((num_embeddings, embedding_dim)), dtype)

    def forward(self, indices: Any) -> Tensor:
        """Integers (...) to (..., C)."""
        return F.embedding(indices, self.weight)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class LayerNorm(Module):
    """Each row of (..., C) to mean 0 and variance 1, then a learned scale and shift.

    Source: Ba, Kiros and Hinton, Layer Normalization, 2016.
    """

    def __init__(self, features: int, eps: float = 1e-5, *, dtype: DTypeLike = np.float32) -> None:
        self.eps = eps
        self.weight = Parameter(np.ones(features), dtype)
        self.bias = Parameter(np.zeros(features), dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., C)."""
        return F.layer_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


class Dropout(Module):
    """Zeros each element with probability p while training.

    Args:
        p: in [0, 1).
        rng: source of the masks.
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None) -> None:
        if not 0.0 <= p < 1.0:
            raise ValueError(f"p={p} must lie in [0, 1)")
        self.p = p
        self.rng = rng or np.random.default_rng()

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.dropout(x, self.p, self.training, current(self.rng))

    def extra_repr(self) -> str:
        """Probability."""
        return f"p={self.p}"


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x.relu()


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x.tanh()


class GELU(Module):
    """Gaussian error linear unit, exact or in tanh form."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.gelu(x, self.approximate)


class Sequential(Module):
    """Modules one after the other."""

    def __init__(self, *layers: Module) -> None:
        self.layers = list(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Through all layers in order."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int | slice) -> Any:
        """A layer, or a Sequential of a slice of them."""
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]
