"""Which examples come next: an order for each epoch, cut into global batches, and each rank's share of one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.device import Array


class DistributedSampler:
    """Global batches in a shuffled order that all ranks agree on, and the part of each that is this rank's.

    Every rank draws the same permutation from (seed, epoch), so no message is needed. The ranks' parts of a
    batch are disjoint and together complete. With one rank the parts are the batches, which is why a run on
    p ranks sees exactly the global batches of a run on one.

    Args:
        examples: how many there are.
        batch_size: examples in a global batch; the rest of an epoch that fills none is left out.
        rank, size: this rank and the number of ranks.
        seed: of the shuffling.

    Raises:
        ValueError: more ranks than examples in a batch, or fewer examples than one batch.

    >>> parts = [next(iter(DistributedSampler(10, 4, rank, 2, seed=0))) for rank in range(2)]
    >>> sorted(np.concatenate(parts)) == sorted(next(iter(DistributedSampler(10, 4, 0, 1, seed=0))))
    True
    """

    def __init__(self, examples: int, batch_size: int, rank: int = 0, size: int = 1, *, seed: int) -> None:
        if size > batch_size:
            raise ValueError(f"{size} ranks cannot share a batch of {batch_size} examples; each needs at least one")
        if examples < batch_size:
            raise ValueError(f"batch_size={batch_size} exceeds the {examples} examples there are")
        self.examples, self.batch_size, self.rank, self.size, self.seed = examples, batch_size, rank, size, seed

    def batches_per_epoch(self) -> int:
        """Number of global batches in an epoch."""
        return self.examples // self.batch_size

    def epoch(self, epoch: int) -> Iterator[Array]:
        """This rank's part of each global batch of one epoch: integer arrays."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.examples)
        for start in range(0, self.batches_per_epoch() * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size][self.rank :: self.size]

    def __iter__(self) -> Iterator[Array]:
        """Epoch after epoch, without end."""
        number = 0
        while True:
            yield from self.epoch(number)
            number += 1
