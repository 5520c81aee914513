"""The picture of exercise 10: the student's schedule, and descent over a cliff with and without their clipping."""

from typing import Any

import numpy as np


def run(case: dict[str, Any]) -> Any:
    """The rates of 100 steps, and two runs on a loss with a wall."""
    from minigrad import Tensor
    from minigrad.optim.clipping import clip_grads_with_norm_, get_total_norm
    from minigrad.optim.schedules import warmup_cosine

    rates = [warmup_cosine(step, peak=1.0, warmup_steps=10, total_steps=90, final=0.1) for step in range(100)]
    paths = []
    for clipped in (False, True):
        x = Tensor(np.array([1.2]), requires_grad=True)
        path = [x.data.copy()]
        for _ in range(60):
            x.grad = Tensor(slope(x.data))
            if clipped:
                clip_grads_with_norm_([x], 1.0, get_total_norm([x]))
            x.data = x.data - 0.1 * x.grad.data
            path.append(x.data.copy())
        paths.append(np.array(path)[:, 0])
    return {"rates": rates, "paths": paths}


def slope(x: Any) -> Any:
    """Gradient of sqrt(1 + x^2) + exp(25 (x - 1)) / 25: a wide valley with a wall at x = 1."""
    return x / np.sqrt(1 + x**2) + np.exp(25 * (x - 1))


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The rates, and the way of each run."""
    left, right = figure.subplots(1, 2)
    left.plot(data["rates"], color="#08305c", marker=".", markersize=4, linewidth=1)
    left.axvline(9, color="#dd6f1a", linestyle="--", linewidth=1)
    left.axvline(90, color="#dd6f1a", linestyle="--", linewidth=1)
    left.set(xlabel="step", ylabel="learning rate", ylim=(0, 1.05),
             title="your schedule: peak reached at step 9, final at step 90")  # fmt: skip
    for name, path, colour in zip(("as they are", "clipped to 1"), data["paths"], ("#dd6f1a", "#08305c"), strict=True):
        right.plot(path, color=colour, label=f"gradients {name}")
    right.axhspan(1.0, 2.0, color="#d0d7de", linewidth=0)
    right.set(
        xlabel="step", ylabel="x", ylim=(-16, 2), title="a start in the wall: one step throws it across the valley"
    )
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.title.set_fontsize(10)
