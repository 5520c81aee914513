"""the rate goes on rising beyond the peak: the rise ends after warmup_steps"""

from minigrad.optim.schedules import check_step


def linear_warmup(step: int, *, peak: float, warmup_steps: int) -> float:
    check_step(step)
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps} must not be negative")
    return peak * (step + 1) / max(1, warmup_steps)
