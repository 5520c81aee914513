"""Corpora, tokenizers, samplers."""

from minigrad.data.corpus import (
    CharTokenizer,
    TextData,
    conditional_entropy,
    read_text,
    standard_library_text,
    uniform_entropy,
)
from minigrad.data.sampler import DistributedSampler

__all__ = [
    "CharTokenizer",
    "DistributedSampler",
    "TextData",
    "conditional_entropy",
    "read_text",
    "standard_library_text",
    "uniform_entropy",
]
