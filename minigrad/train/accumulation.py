"""Gradient accumulation: a large batch in small pieces, one after the other.

The loss of a batch is a mean over its targets. A sum of means over pieces is not that mean, nor is the mean of
means unless the pieces are equal: each piece counts by its number of *targets*, over the number in the whole batch.
With sequences of unequal length, or targets that are left out, counting pieces or sequences instead is a mistake
that shows in the loss and is hard to find.

It equals the large batch wherever an example's output depends on that example alone. Batch normalisation is the
exception: its mean and variance are those of a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from minigrad.tensor import Tensor

Batch = TypeVar("Batch")


def accumulate_gradients(
    loss_function: Callable[[Batch], Tensor],
    micro_batches: Iterable[Batch],
    counts: Sequence[int],
    scale: float = 1.0,
    before_last: Callable[[], None] | None = None,
) -> float:
    """Add to the gradients those of the mean loss over several micro-batches together.

    Args:
        loss_function: mean loss over the targets of a micro-batch.
        micro_batches: one per count; taken one at a time, so they may be made on the way.
        counts: targets that each micro-batch's mean runs over; 0 for one without any, which is passed over.
        scale: multiplies the loss that is differentiated, and not the one that is returned (loss scaling).
        before_last: called before the last backward: gradients are complete once that is done, not sooner.

    Returns:
        The mean loss over all targets.

    Raises:
        ValueError: no targets at all, or another number of counts than of micro-batches.

    Cost: the activations of one micro-batch instead of all.
    """
    total = sum(counts)
    if total < 1 or min(counts) < 0:
        raise ValueError(f"counts={list(counts)} must not be negative and have at least one target together")
    mean, left = 0.0, total
    for micro_batch, count in zip(micro_batches, counts, strict=True):
        if count == 0:
            continue
        loss = loss_function(micro_batch)
        left -= count
        if left == 0 and before_last is not None:
            before_last()
        (loss * (count / total * scale)).backward()
        mean += loss.item() * (count / total)
    return mean
