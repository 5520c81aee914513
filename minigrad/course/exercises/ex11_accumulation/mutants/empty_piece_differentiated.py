"""a piece without targets is not passed over: its mean is 0/0, and NaN times 0 is NaN"""

from typing import Any


def accumulate_gradients(loss_function: Any, micro_batches: Any, counts: Any, scale: float = 1.0) -> float:
    total = sum(counts)
    if total < 1 or min(counts) < 0:
        raise ValueError(f"counts={list(counts)} must not be negative and have at least one target together")
    mean = 0.0
    for micro_batch, count in zip(micro_batches, counts, strict=True):
        loss = loss_function(micro_batch)
        (loss * (count / total * scale)).backward()
        mean += loss.item() * (count / total)
    return mean
