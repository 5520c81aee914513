"""the mean of the means: a piece counts by its number of targets, here all pieces count the same"""

from typing import Any


def accumulate_gradients(loss_function: Any, micro_batches: Any, counts: Any, scale: float = 1.0) -> float:
    total = sum(counts)
    if total < 1 or min(counts) < 0:
        raise ValueError(f"counts={list(counts)} must not be negative and have at least one target together")
    used = sum(count > 0 for count in counts)
    mean = 0.0
    for micro_batch, count in zip(micro_batches, counts, strict=True):
        if count == 0:
            continue
        loss = loss_function(micro_batch)
        (loss * (scale / used)).backward()
        mean += loss.item() / used
    return mean
