"""The picture of exercise 02: gradients of a matrix plus a row, a column and a number, summed back to each."""

from typing import Any

import numpy as np

SHAPES = ((4, 6), (6,), (4, 1), ())


def run(case: dict[str, Any]) -> Any:
    """Sum one gradient back to four shapes."""
    from minigrad.ops.shape import unbroadcast

    grad = gradient()
    return {"grads": [np.asarray(unbroadcast(grad, shape)) for shape in SHAPES]}


def gradient() -> Any:
    return np.random.default_rng(3).standard_normal((4, 6)).round(1)


def draw(figure: Any, data: dict[str, Any]) -> None:
    """Each gradient as a grid of numbers."""
    for axes, shape, grad in zip(
        figure.subplots(1, 4, width_ratios=(6, 6, 1.6, 1.6)), SHAPES, data["grads"], strict=True
    ):
        grid = np.atleast_2d(grad)
        axes.imshow(grid, cmap="RdBu", vmin=-4, vmax=4)
        for (i, j), value in np.ndenumerate(grid):
            axes.text(
                j,
                i,
                f"{value:.1f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if abs(value) > 2.4 else "black",
            )
        axes.set_title(f"{shape}", fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle("One gradient of shape (4, 6), summed back by your unbroadcast to the shape of each operand")
