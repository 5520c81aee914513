"""the warm-up is off by one: step 0 gets the rate 0, and the peak comes a step late"""

from minigrad.optim.schedules import check_step


def linear_warmup(step: int, *, peak: float, warmup_steps: int) -> float:
    check_step(step)
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps} must not be negative")
    return peak * step / warmup_steps if step < warmup_steps else peak
