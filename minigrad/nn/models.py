"""Whole models: a multi-layer perceptron and a GPT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.autograd import no_grad
from minigrad.device import Array
from minigrad.nn import functional as F
from minigrad.nn.layers import GELU, CausalSelfAttention, Dropout, Embedding, LayerNorm, Linear, Sequential
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class MLP(Sequential):
    """Linear layers with an activation between each two.

    Args:
        sizes: widths from input to output, at least two.
        activation: a module put between the layers; GELU by default.
        rng: source of the initial values.
        dtype: of the parameters.

    >>> sum(p.numel() for p in MLP([2, 16, 1]).parameters())
    65
    """

    def __init__(
        self,
        sizes: list[int],
        activation: Module | None = None,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"sizes={sizes} needs at least an input and an output width")
        rng = rng or np.random.default_rng()
        layers: list[Module] = []
        for position, (inputs, outputs) in enumerate(pairwise(sizes)):
            if position:
                layers.append(activation or GELU())
            layers.append(Linear(inputs, outputs, rng=rng, dtype=dtype))
        super().__init__(*layers)


@dataclass(frozen=True)
class GPTConfig:
    """Shape of a GPT, in GPT-2's names.

    Attributes:
        vocab_size: number of tokens.
        block_size: longest sequence.
        n_layer, n_head, n_embd: blocks, heads in each, channels.
        dropout: probability, applied to the embeddings and to both branches of a block.
    """

    vocab_size: int
    block_size: int = 128
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.0


class Block(Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): the pre-norm transformer block of GPT-2."""

    def __init__(self, config: GPTConfig, *, rng: np.random.Generator, dtype: DTypeLike) -> None:
        width = config.n_embd
        self.norm_1 = LayerNorm(width, dtype=dtype)
        self.attention = CausalSelfAttention(width, config.n_head, rng=rng, dtype=dtype)
        self.norm_2 = LayerNorm(width, dtype=dtype)
        self.expand = Linear(width, 4 * width, rng=rng, dtype=dtype)
        self.contract = Linear(4 * width, width, rng=rng, dtype=dtype)
        self.dropout = Dropout(config.dropout, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        x = x + self.dropout(self.attention(self.norm_1(x)))
        hidden = F.gelu(self.expand(self.norm_2(x)), approximate="tanh")
        return x + self.dropout(self.contract(hidden))


class GPT(Module):
    """A decoder-only transformer whose output layer shares the token embedding's table.

    Args:
        config: the shape.
        rng: source of the initial values: normal with deviation 0.02, biases 0, and the two layers that write
            to the residual stream divided by sqrt(2 n_layer), as in GPT-2.
        dtype: of the parameters.

    Source: Radford and others, Language Models are Unsupervised Multitask Learners, 2019, section 2.3.
    """

    def __init__(
        self, config: GPTConfig, *, rng: np.random.Generator | None = None, dtype: DTypeLike = np.float32
    ) -> None:
        rng = rng or np.random.default_rng()
        self.config = config
        self.token_embedding = Embedding(config.vocab_size, config.n_embd, rng=rng, dtype=dtype)
        self.position_embedding = Embedding(config.block_size, config.n_embd, rng=rng, dtype=dtype)
        self.dropout = Dropout(config.dropout, rng=rng)
        self.blocks = [Block(config, rng=rng, dtype=dtype) for _ in range(config.n_layer)]
        self.norm = LayerNorm(config.n_embd, dtype=dtype)
        self._initialise(rng)

    def _initialise(self, rng: np.random.Generator) -> None:
        residual_scale = 1.0 / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if "norm" in name:
                continue
            if name.endswith("bias"):
                parameter.data[...] = 0.0
                continue
            scale = residual_scale if name.endswith(("projection.weight", "contract.weight")) else 1.0
            parameter.data[...] = rng.standard_normal(parameter.shape) * (0.02 * scale)

    def forward(self, indices: Any) -> Tensor:
        """Tokens (B, T) to logits (B, T, V) for the token that follows each.

        Raises:
            ValueError: T exceeds the block size.
        """
        tokens = indices.data if isinstance(indices, Tensor) else np.asarray(indices)
        length = tokens.shape[-1]
        if length > self.config.block_size:
            raise ValueError(f"sequence of {length} tokens exceeds block_size={self.config.block_size}")
        x: Tensor = self.token_embedding(tokens) + self.position_embedding(np.arange(length))  # (B, T, C)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.token_embedding.weight)

    def loss(self, indices: Any, targets: Any) -> Tensor:
        """Mean cross-entropy, in nats per token, of targets (B, T) under the logits for indices (B, T)."""
        logits = self.forward(indices)
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), np.asarray(targets).reshape(-1))

    def generate(
        self, prompt: Array, new_tokens: int, rng: np.random.Generator, temperature: float = 1.0
    ) -> Array:
        """Continue `prompt` by sampling one token at a time.

        Args:
            prompt: (T,) integers, at least one.
            new_tokens: how many to add.
            rng: source of the samples.
            temperature: logits are divided by it; below 1 the likely become likelier.

        Returns:
            (T + new_tokens,) integers.
        """
        tokens = list(np.asarray(prompt))
        with no_grad():
            for _ in range(new_tokens):
                window = np.array(tokens[-self.config.block_size :])[None]
                logits = self.forward(window)[0, -1] * (1.0 / temperature)
                probabilities = F.softmax(logits.double()).numpy()
                tokens.append(int(rng.choice(len(probabilities), p=probabilities)))
        return np.array(tokens)
