"""The picture of exercise 11: a batch of unequal pieces through the student's function, and what it kept in memory."""

from typing import Any

import numpy as np

COUNTS = [1, 2, 4, 9, 16]


def run(case: dict[str, Any]) -> Any:
    """Three descents on one batch: whole, in pieces by the student, and by the mean of means."""
    from minigrad import Tensor
    from minigrad.train.accumulation import accumulate_gradients

    features, targets = data()
    ends = np.cumsum(COUNTS)[:-1]
    pieces = list(zip(np.split(features, ends), np.split(targets, ends), strict=True))
    losses: dict[str, list[float]] = {}
    for name in ("whole batch", "your pieces", "mean of means"):
        weights: Any = Tensor(np.zeros(2), requires_grad=True)
        curve: list[float] = []

        def loss_function(piece: Any, weights: Any = weights) -> Any:
            return ((Tensor(piece[0]) @ weights - Tensor(piece[1])) ** 2).mean()

        for _ in range(40):
            weights.grad = None
            if name == "whole batch":
                loss_function((features, targets)).backward()
            elif name == "your pieces":
                accumulate_gradients(loss_function, iter(pieces), COUNTS)
            else:
                for piece in pieces:
                    (loss_function(piece) / len(pieces)).backward()
            curve.append(float(((features @ weights.data - targets) ** 2).mean()))
            weights.data = weights.data - 0.1 * weights.grad.data
        losses[name] = curve
    return {"losses": losses}


def data() -> tuple[Any, Any]:
    """Short pieces have another slope than long ones, as short sentences are unlike long ones."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((sum(COUNTS), 2))
    slopes = np.repeat(np.linspace(-2.0, 1.0, len(COUNTS)), COUNTS)
    return features, slopes * features[:, 0] + 0.5 * features[:, 1]


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The losses, and the share that a target has in each piece."""
    left, right = figure.subplots(1, 2)
    styles = {"whole batch": ("#a9cfe8", "-", 6), "your pieces": ("#08305c", "-", 1.5),
              "mean of means": ("#dd6f1a", "--", 1.5)}  # fmt: skip
    for name, curve in data["losses"].items():
        colour, line, width = styles[name]
        left.plot(curve, color=colour, linestyle=line, linewidth=width, label=name)
    left.set(xlabel="step", ylabel="loss of the whole batch", title="your pieces must lie on the whole batch")
    left.legend(frameon=False, fontsize=8)
    places, total = np.arange(len(COUNTS)), sum(COUNTS)
    right.bar(places - 0.2, np.array(COUNTS) / total, 0.4, color="#08305c", label="by its targets")
    right.bar(places + 0.2, np.full(len(COUNTS), 1 / len(COUNTS)), 0.4, color="#dd6f1a", label="mean of means")
    right.set_xticks(places, [f"{count}" for count in COUNTS])
    right.set(xlabel="targets in the piece", ylabel="share in the loss", title="how much each piece counts")
    right.legend(frameon=False, fontsize=8)
