"""the numbers are right, but backward() comes once, at the end: until then the activations of all pieces stay"""

from typing import Any


def accumulate_gradients(loss_function: Any, micro_batches: Any, counts: Any, scale: float = 1.0) -> float:
    total = sum(counts)
    if total < 1 or min(counts) < 0:
        raise ValueError(f"counts={list(counts)} must not be negative and have at least one target together")
    mean: Any = 0.0
    for micro_batch, count in zip(micro_batches, counts, strict=True):
        if count == 0:
            continue
        mean = loss_function(micro_batch) * (count / total) + mean
    (mean * scale).backward()
    return float(mean.item())
