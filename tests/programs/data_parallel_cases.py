"""What must hold for DataParallel on any communicator, simulated or real."""

from typing import Any

import numpy as np
import pytest

from minigrad import nn
from parallel import DataParallel


class WithBuffers(nn.Module):
    """A 0-d parameter, and buffers of several dtypes, one of them not contiguous: other numbers on every rank."""

    def __init__(self, rank: int) -> None:
        self.scale = nn.Parameter(np.array(1.0 + rank))
        self.register_buffer("mean", np.full((3, 2), float(rank)).T)
        self.register_buffer("steps", np.array(rank))
        self.register_buffer("half", np.full(3, rank, np.float16))
        self.register_buffer("mask", np.array([rank == 0, True]))


def check_everything_starts_as_on_rank_0(comm: Any) -> None:
    """Buffers too: a running mean is part of the model."""
    model = WithBuffers(comm.Get_rank())
    before = model.state_dict()
    replica = DataParallel(model, comm)
    after, first = replica.model.state_dict(), WithBuffers(0).state_dict()
    for name, array in after.items():
        np.testing.assert_array_equal(array, first[name])
        assert (array.shape, array.dtype) == (first[name].shape, first[name].dtype)
        assert array is before[name], f"{name}: whoever holds the array must see the new numbers"


def check_a_scalar_parameter_trains(comm: Any) -> None:
    """Row `k-ranks`: the gradient of a 0-d parameter is the mean of the ranks'."""
    model = WithBuffers(comm.Get_rank())
    replica = DataParallel(model, comm)
    (model.scale * model.scale * float(comm.Get_rank() + 1)).backward()
    replica.average_gradients()
    assert model.scale.grad is not None
    assert model.scale.grad.shape == ()
    expected = comm.Get_size() + 1.0  # 2 scale times the mean of 1 ... p, with scale 1
    assert abs(float(model.scale.grad.data) - expected) <= 1e-12 * expected


def different_model(rank: int, size: int, kind: str) -> nn.Module:
    """A model that is another one on the last rank."""
    rng = np.random.default_rng(0)
    last = rank == size - 1
    if kind == "shape":
        return nn.Linear(3, 2 + last, rng=rng)
    if kind == "dtype":
        return nn.Linear(3, 2, rng=rng, dtype=np.float64 if last else np.float32)
    if kind == "name":
        return nn.Sequential(nn.ReLU(), nn.Linear(3, 2, rng=rng)) if last else nn.Sequential(nn.Linear(3, 2, rng=rng))
    model = nn.Linear(3, 2, rng=rng)
    model.register_buffer("count", np.zeros(1 + last))
    return model


KINDS = ("shape", "dtype", "name", "buffer")


def check_different_models_are_refused(comm: Any, kind: str) -> None:
    """On every rank, with the same sentence."""
    size = comm.Get_size()
    model = different_model(comm.Get_rank(), size, kind)
    with pytest.raises(ValueError, match=rf"not the same on all ranks: .* on rank {size - 1} differ from"):
        DataParallel(model, comm)
