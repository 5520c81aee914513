"""the rate climbs again after total_steps: it is to stay at `final`"""

import math

from minigrad.optim.schedules import check_step, linear_warmup


def warmup_cosine(step: int, *, peak: float, warmup_steps: int, total_steps: int, final: float = 0.0) -> float:
    check_step(step)
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps={warmup_steps} must lie in [0, total_steps={total_steps}]")
    if step < warmup_steps:
        return linear_warmup(step, peak=peak, warmup_steps=warmup_steps)
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return final + (peak - final) * 0.5 * (1.0 + math.cos(math.pi * progress))
