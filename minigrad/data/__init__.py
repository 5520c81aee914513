"""Corpora, tokenizers, samplers, loaders."""

from minigrad.data.bpe import BytePairTokenizer
from minigrad.data.corpus import (
    CharTokenizer,
    TextData,
    conditional_entropy,
    read_text,
    standard_library_text,
    uniform_entropy,
)
from minigrad.data.digits import LabelledData, load_digits
from minigrad.data.loader import DataLoader, WorkerError, batches_from
from minigrad.data.pipeline_model import InputPipeline
from minigrad.data.sampler import DistributedSampler

__all__ = [
    "BytePairTokenizer",
    "CharTokenizer",
    "DataLoader",
    "DistributedSampler",
    "InputPipeline",
    "LabelledData",
    "TextData",
    "WorkerError",
    "batches_from",
    "conditional_entropy",
    "load_digits",
    "read_text",
    "standard_library_text",
    "uniform_entropy",
]
