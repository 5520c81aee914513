"""The picture of exercise 08: a row of numbers that walks along the student's gradient, and its mean and variance."""

from typing import Any

import numpy as np

START = np.array([[2.0, 1.0, -0.5, 0.8, 3.0]])
GOAL = np.array([[-1.2, 0.0, 1.5, 0.6, -0.9]])  # what layer norm is to give: mean 0, variance about 1
STEPS = 80


def run(case: dict[str, Any]) -> Any:
    """Plain descent on |layer_norm(x) - goal|^2 / 2."""
    from minigrad.kernels.naive_cpu import layer_norm_backward, layer_norm_forward

    x, weight, bias = START.copy(), np.ones(5), np.zeros(5)
    path, sums = [x.copy()], []
    for _ in range(STEPS):
        y, x_hat, inverse = layer_norm_forward(x, weight, bias, 1e-5)
        dx = layer_norm_backward(y - GOAL, x_hat, inverse, weight)[0]
        sums.append([float(np.sum(dx)), float(np.sum(dx * x_hat))])
        x = x - 0.15 * dx
        path.append(x.copy())
    return {"path": np.array(path)[:, 0], "sums": np.array(sums)}


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The five numbers on their way, and the two sums that must be zero."""
    left, right = figure.subplots(1, 2)
    left.plot(data["path"], linewidth=1.2)
    left.plot(data["path"].mean(axis=1), color="#57606a", linestyle="--", linewidth=1, label="their mean")
    left.legend(frameon=False, fontsize=8)
    left.set(xlabel="step", title="five numbers under layer norm, along your gradient:\ntheir mean must not move")
    for column, (name, colour) in enumerate((("sum of dx", "#08305c"), ("sum of dx x_hat", "#dd6f1a"))):
        right.semilogy(np.abs(data["sums"][:, column]) + 1e-20, color=colour, label=name)
    right.axhline(1e-4, color="#57606a", linestyle=":", linewidth=1)
    right.legend(frameon=False, fontsize=8)
    right.set(xlabel="step", ylim=(1e-20, 10), title="what must vanish: |sum| over the row\n(the second up to eps)")
    for axes in (left, right):
        axes.title.set_fontsize(10)
