"""The picture of exercise 03: a classifier of three classes that learns by the student's gradient."""

from typing import Any

import numpy as np


def run(case: dict[str, Any]) -> Any:
    """Logistic regression on three clouds of points, by plain descent."""
    from minigrad.kernels.naive_cpu import cross_entropy_backward, cross_entropy_forward

    points, labels = clouds()
    weights, losses = np.zeros((3, 3)), []
    for _ in range(60):
        logits = points @ weights
        each, log_sum = cross_entropy_forward(logits, labels)
        losses.append(float(each.mean()))
        grad = np.full(len(labels), 1.0 / len(labels))
        weights = weights - 1.0 * points.T @ cross_entropy_backward(grad, logits, labels, log_sum)
    return {"losses": losses, "weights": weights}


def clouds() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    centres = np.array([[0, 1.6], [-1.4, -0.8], [1.4, -0.8]])
    points = centres[labels] + 0.7 * rng.standard_normal((120, 2))
    return np.column_stack([points, np.ones(120)]), labels


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The loss, and where the classes' borders have come to lie."""
    left, right = figure.subplots(1, 2)
    left.plot(data["losses"], color="#08305c")
    left.axhline(np.log(3), color="#dd6f1a", linestyle="--", linewidth=1)
    left.text(59, np.log(3), "ln 3: knows nothing", ha="right", va="bottom", fontsize=8)
    left.set(xlabel="step", ylabel="cross-entropy (nats)", title="descent along your gradient")
    x, y = np.meshgrid(np.linspace(-4, 4, 200), np.linspace(-4, 4, 200))
    logits = np.stack([x, y, np.ones_like(x)], axis=-1) @ data["weights"]
    colours = np.array(["#08305c", "#dd6f1a", "#7db97a"])
    right.contourf(x, y, logits.argmax(axis=-1), levels=[-0.5, 0.5, 1.5, 2.5], colors=colours.tolist(), alpha=0.2)
    points, labels = clouds()
    right.scatter(points[:, 0], points[:, 1], c=colours[labels], s=10)
    right.set(title="what it decides", aspect="equal")
