"""Before ranks train together: the same model on all of them, with rank 0's numbers in it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.device import device_of
from minigrad.nn import Module
from parallel.collectives.ring import ring_all_reduce
from parallel.collectives.tree import broadcast


def named_arrays(model: Module) -> list[tuple[str, NDArray[Any]]]:
    """Name and memory of every parameter, tied ones once, and of every buffer."""
    return [(name, parameter.data) for name, parameter in model.named_parameters()] + list(model.named_buffers())


def refuse_gpu_model(model: Module) -> None:
    """Refuse arrays that are not in the host's memory, where the ranks' gradients are gathered.

    Raises:
        ValueError: a parameter or buffer lies on a GPU.
    """
    for name, array in named_arrays(model):
        if device_of(array) != "cpu":
            raise ValueError(
                f"model has {name} on {device_of(array)}, must be on cpu to be trained by several ranks: "
                'model.to("cpu"), or average the gradients through parallel.comm.device_buffers.mpi_buffer'
            )


def refuse_different_models(model: Module, comm: Any) -> None:
    """Compare the names, shapes and dtypes of all parameters and buffers with rank 0's.

    Raises:
        ValueError: they differ on some rank; raised on every rank, so that none is left waiting.
    """
    inventory = "\n".join(f"{name} {array.shape} {array.dtype}" for name, array in named_arrays(model))
    digest = np.frombuffer(sha256(inventory.encode()).digest(), np.uint8)
    root = digest.copy()
    broadcast(comm, root)
    differs = np.zeros(comm.Get_size(), np.int64)
    differs[comm.Get_rank()] = not np.array_equal(root, digest)
    ring_all_reduce(comm, differs)
    others = [str(rank) for rank in np.flatnonzero(differs)]
    if others:
        raise ValueError(
            "the model is not the same on all ranks: names, shapes or dtypes of its parameters or buffers on "
            f"rank{'s' * (len(others) > 1)} {', '.join(others)} differ from those on rank 0"
        )


def copy_from_rank_0(model: Module, comm: Any) -> None:
    """Overwrite every parameter and buffer with rank 0's numbers."""
    for _, array in named_arrays(model):
        broadcast_values(comm, array)


def broadcast_values(comm: Any, array: NDArray[Any]) -> None:
    """Overwrite an array of any layout and dtype with rank 0's values; it travels as bytes."""
    values = np.asarray(array, order="C")
    broadcast(comm, values.reshape(-1).view(np.uint8))
    if values is not array:
        array[...] = values
