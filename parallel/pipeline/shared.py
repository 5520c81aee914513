"""Weights that stand on several ranks: a tied embedding and head, the doubled stages of DualPipe.

Each rank computes the gradient of its own use of such a weight, and the sum is the gradient of the weight. Ranks that
add up the same numbers and take the same steps keep the same weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.nn import Parameter
from minigrad.tensor import Tensor
from parallel.collectives.ring import ring_all_reduce
from parallel.pipeline.stage import Array


class SharedWeights:
    """This rank's weights, and who else has them.

    Args:
        comm: communicator of the pipeline's ranks; all of them make one of these together.
        weights: this rank's weights by their names in the whole model, which are the same on all ranks.

    Attributes:
        groups: for each set of ranks that share something, of which this one is a member: their communicator, and
            the names of what they share.

    Cost: an all-gather of the names, and a split for each such set.
    """

    def __init__(self, comm: Any, weights: Mapping[str, Parameter]) -> None:
        self.comm, self.weights = comm, dict(weights)
        self.rank = comm.Get_rank()
        holders: dict[str, list[int]] = {}
        for rank, names in enumerate(comm.allgather(list(self.weights))):
            for name in names:
                holders.setdefault(name, []).append(rank)
        self.first_holder = {name: ranks[0] for name, ranks in holders.items()}
        self.groups: list[tuple[Any, list[str]]] = []
        for ranks in sorted({tuple(ranks) for ranks in holders.values() if len(ranks) > 1}):  # the same order for all
            member = self.rank in ranks
            group = comm.Split(int(member), self.rank)
            if member:
                self.groups.append((group, [name for name, held in holders.items() if tuple(held) == ranks]))

    def sum_gradients(self) -> None:
        """Let `.grad` of every shared weight be the sum over its holders; all ranks of the pipeline call it.

        A weight without gradient on one holder counts as 0 there; without one on any, it keeps none.

        Cost: a ring all-reduce of the shared gradients, for each set of ranks.
        """
        for group, names in self.groups:
            shared = [self.weights[name] for name in names]
            for dtype in sorted({str(weight.dtype) for weight in shared}):
                _sum_over(group, [weight for weight in shared if str(weight.dtype) == dtype])

    def counts(self, name: str) -> bool:
        """Whether this rank counts a weight where all weights of the model are to be counted once: its first holder."""
        return self.first_holder[name] == self.rank


def _sum_over(comm: Any, weights: Sequence[Parameter]) -> None:
    """Sum gradients of one dtype over the ranks; a flag for each tells whether there is one at all."""
    flags = [float(weight.grad is not None) for weight in weights]
    parts = [_gradient(weight).reshape(-1) for weight in weights]
    flat = np.concatenate([*parts, flags]).astype(weights[0].dtype)
    ring_all_reduce(comm, flat)
    start = 0
    for weight, holders in zip(weights, flat[-len(weights) :], strict=True):
        total = flat[start : start + weight.numel()].reshape(weight.shape)
        start += weight.numel()
        if holders > 0:
            weight.grad = Tensor.wrap(total.copy())


def _gradient(weight: Parameter) -> Array:
    return np.zeros(weight.shape, weight.dtype) if weight.grad is None else weight.grad.data
