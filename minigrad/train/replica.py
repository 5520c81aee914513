"""What the training loop sees of the other copies of its model.

The loop knows nothing of ranks. It is given a `replica`, which says which part of each batch is its own and how
gradients and numbers are averaged; on one process that is `SingleProcess`, which does nothing.
"""

from __future__ import annotations

from typing import Protocol

from minigrad.nn import Module


class Replica(Protocol):
    """One of several copies of a model that train together."""

    model: Module
    rank: int
    size: int

    def average_gradients(self, share: float | None = None) -> None:
        """Replace every gradient by the weighted mean over all copies."""

    def mean(self, value: float, share: float | None = None) -> float:
        """The weighted mean of a number over all copies."""


class SingleProcess:
    """The only copy there is."""

    rank, size = 0, 1

    def __init__(self, model: Module) -> None:
        self.model = model

    def average_gradients(self, share: float | None = None) -> None:
        """Nothing to average with."""

    def mean(self, value: float, share: float | None = None) -> float:
        """The number itself."""
        return value
