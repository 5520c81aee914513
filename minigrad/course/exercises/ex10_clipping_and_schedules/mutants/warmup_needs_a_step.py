"""no warm-up at all (warmup_steps = 0) divides by zero"""

from minigrad.optim.schedules import check_step


def linear_warmup(step: int, *, peak: float, warmup_steps: int) -> float:
    check_step(step)
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps} must not be negative")
    return peak * min(1.0, (step + 1) / warmup_steps)
