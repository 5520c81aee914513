"""GPT-2's weights from a safetensors file in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minigrad.device import Array
from minigrad.nn.gpt import GPT, GPTConfig
from minigrad.serialize import load_arrays

# Their name in a block, ours, and whether the matrix is transposed: their linear layers compute x W, ours x W^T.
BLOCK_NAMES = (
    ("ln_1.weight", "norm_1.weight", False),
    ("ln_1.bias", "norm_1.bias", False),
    ("attn.c_attn.weight", "attention.qkv.weight", True),
    ("attn.c_attn.bias", "attention.qkv.bias", False),
    ("attn.c_proj.weight", "attention.projection.weight", True),
    ("attn.c_proj.bias", "attention.projection.bias", False),
    ("ln_2.weight", "norm_2.weight", False),
    ("ln_2.bias", "norm_2.bias", False),
    ("mlp.c_fc.weight", "expand.weight", True),
    ("mlp.c_fc.bias", "expand.bias", False),
    ("mlp.c_proj.weight", "contract.weight", True),
    ("mlp.c_proj.bias", "contract.bias", False),
)
OUTER_NAMES = (
    ("wte.weight", "token_embedding.weight"),
    ("wpe.weight", "position_embedding.weight"),
    ("ln_f.weight", "norm.weight"),
    ("ln_f.bias", "norm.bias"),
)


def load_gpt2(path: str | Path, n_head: int) -> GPT:
    """A GPT with the weights of a safetensors file as Hugging Face writes them.

    Args:
        path: `model.safetensors`.
        n_head: number of heads, which the file does not tell: 12, 16, 20 or 25 for the published sizes.

    Returns:
        The model, of the file's shape, float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no safetensors file, lacks a tensor, has one of another shape, or n_head does not divide
            the width.
    """
    arrays = {name.removeprefix("transformer."): array for name, array in load_arrays(path).items()}
    table, positions = _take(arrays, "wte.weight", path), _take(arrays, "wpe.weight", path)
    layers = {int(name.split(".")[1]) for name in arrays if name.startswith("h.")}
    if not layers:
        raise ValueError(f"{str(path)!r} has no blocks (no name begins with 'h.')")
    config = GPTConfig(table.shape[0], positions.shape[0], max(layers) + 1, n_head, table.shape[1])
    state = {ours: _take(arrays, theirs, path) for theirs, ours in OUTER_NAMES}
    for layer in range(config.n_layer):
        for theirs, ours, transposed in BLOCK_NAMES:
            array = _take(arrays, f"h.{layer}.{theirs}", path)
            state[f"blocks.{layer}.{ours}"] = np.ascontiguousarray(array.T) if transposed else array
    model = GPT(config, rng=np.random.default_rng(0))
    model.load_state_dict({name: array.astype(np.float32) for name, array in state.items()})
    return model


def gpt2_layout(model: GPT) -> dict[str, Array]:
    """A model's weights under Hugging Face's names and in its layout: the inverse of `load_gpt2`."""
    own = model.state_dict()
    arrays = {f"transformer.{theirs}": own[ours] for theirs, ours in OUTER_NAMES}
    for layer in range(model.config.n_layer):
        for theirs, ours, transposed in BLOCK_NAMES:
            array = own[f"blocks.{layer}.{ours}"]
            arrays[f"transformer.h.{layer}.{theirs}"] = np.ascontiguousarray(array.T) if transposed else array
    return arrays


def _take(arrays: dict[str, Array], name: str, path: str | Path) -> Array:
    if name not in arrays:
        raise ValueError(f"{str(path)!r} has no tensor {name!r}; is it a GPT-2 in the Hugging Face layout?")
    return arrays[name]
