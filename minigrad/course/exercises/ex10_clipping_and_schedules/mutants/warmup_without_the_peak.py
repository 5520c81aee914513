"""the rise ends at 1 whatever `peak` says"""

from minigrad.optim.schedules import check_step


def linear_warmup(step: int, *, peak: float, warmup_steps: int) -> float:
    check_step(step)
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps} must not be negative")
    return (step + 1) / warmup_steps if step < warmup_steps else 1.0
