"""Layers and models."""

from minigrad.nn import functional
from minigrad.nn.layers import (
    GELU,
    CausalSelfAttention,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    ReLU,
    Sequential,
    Tanh,
)
from minigrad.nn.models import GPT, MLP, Block, GPTConfig
from minigrad.nn.module import Module, Parameter

__all__ = [
    "GELU",
    "GPT",
    "MLP",
    "Block",
    "CausalSelfAttention",
    "Dropout",
    "Embedding",
    "GPTConfig",
    "LayerNorm",
    "Linear",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Tanh",
    "functional",
]
