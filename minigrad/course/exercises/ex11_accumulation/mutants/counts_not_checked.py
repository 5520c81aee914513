"""counts are not checked: negative ones, and those that add up to nothing, are to be refused"""

from typing import Any


def accumulate_gradients(loss_function: Any, micro_batches: Any, counts: Any, scale: float = 1.0) -> float:
    total = max(1, sum(counts))
    mean = 0.0
    for micro_batch, count in zip(micro_batches, counts, strict=True):
        if count == 0:
            continue
        loss = loss_function(micro_batch)
        (loss * (count / total * scale)).backward()
        mean += loss.item() * (count / total)
    return mean
