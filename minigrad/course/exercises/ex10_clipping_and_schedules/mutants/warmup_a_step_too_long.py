"""the rise is spread over warmup_steps + 1 steps: the peak is to be reached at step warmup_steps - 1"""

from minigrad.optim.schedules import check_step


def linear_warmup(step: int, *, peak: float, warmup_steps: int) -> float:
    check_step(step)
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps} must not be negative")
    return peak * min(1.0, (step + 1) / (warmup_steps + 1))
