"""Layers and models."""

from minigrad.nn import functional
from minigrad.nn.attention import CausalSelfAttention, KeyValueCache, MultiHeadAttention, TransformerBlock
from minigrad.nn.convolutional import AvgPool2d, Conv1d, Conv2d, Flatten, MaxPool2d
from minigrad.nn.gpt import GPT, GPT2, GPTConfig
from minigrad.nn.layers import GELU, Dropout, Embedding, LayerNorm, Linear, ReLU, Sequential, Tanh
from minigrad.nn.models import MLP, LeNet
from minigrad.nn.module import Module, Parameter
from minigrad.nn.normalization import BatchNorm1d, BatchNorm2d, RMSNorm
from minigrad.nn.recurrent import LSTMCell, RNNCell

__all__ = [
    "GELU",
    "GPT",
    "GPT2",
    "MLP",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "CausalSelfAttention",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GPTConfig",
    "KeyValueCache",
    "LSTMCell",
    "LayerNorm",
    "LeNet",
    "Linear",
    "MaxPool2d",
    "Module",
    "MultiHeadAttention",
    "Parameter",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "Sequential",
    "Tanh",
    "TransformerBlock",
    "functional",
]
