"""the fall begins a step early: the first step after the rise still has the peak"""

from minigrad.optim.schedules import check_step, cosine, linear_warmup


def warmup_cosine(step: int, *, peak: float, warmup_steps: int, total_steps: int, final: float = 0.0) -> float:
    check_step(step)
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps={warmup_steps} must lie in [0, total_steps={total_steps}]")
    if step < warmup_steps:
        return linear_warmup(step, peak=peak, warmup_steps=warmup_steps)
    if step >= total_steps:
        return final
    return cosine(step - warmup_steps + 1, peak=peak, total_steps=total_steps - warmup_steps, final=final)
