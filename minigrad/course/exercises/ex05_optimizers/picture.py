"""The picture of exercise 05: the student's rules on their way down a long narrow valley."""

from typing import Any

import numpy as np

CURVATURE = np.array([1.0, 25.0])
RUNS: tuple[tuple[str, str, float, dict[str, float]], ...] = (
    ("descent", "sgd", 0.035, {}),
    ("momentum 0.8", "sgd", 0.035, {"momentum": 0.8}),
    ("AdamW", "adamw", 0.3, {"weight_decay": 0.0}),
)


def run(case: dict[str, Any]) -> Any:
    """60 steps of each rule from one point."""
    from minigrad.optim import rules

    paths = []
    for _, rule, lr, options in RUNS:
        param = np.array([-4.0, 1.2])
        state: dict[str, Any] = {}
        path = [param.copy()]
        for t in range(1, 61):
            getattr(rules, rule)(param, CURVATURE * param, state, lr, t, **options)
            path.append(param.copy())
        paths.append(np.array(path))
    return {"paths": paths}


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The valley from above, and the loss along each path."""
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    x, y = np.meshgrid(np.linspace(-5, 3, 200), np.linspace(-2, 2, 200))
    left.contour(x, y, (CURVATURE[0] * x**2 + CURVATURE[1] * y**2) / 2, levels=12, colors="#d0d7de", linewidths=0.8)
    for (name, *_), path, colour in zip(RUNS, data["paths"], ("#2f7fbf", "#dd6f1a", "#08305c"), strict=True):
        left.plot(*path.T, color=colour, marker=".", markersize=3, linewidth=1, label=name)
        right.semilogy((path**2 @ CURVATURE) / 2 + 1e-16, color=colour)
    left.set(title="your rules in a valley 25 times steeper across than along", xlim=(-5, 3), ylim=(-2, 2))
    left.legend(frameon=False, fontsize=8)
    right.set(title="loss", xlabel="step")
