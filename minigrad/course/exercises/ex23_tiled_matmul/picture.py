"""The picture of exercise 23: the student's product of two ragged matrices, and where it is wrong."""

from typing import Any

import numpy as np

M, N, K, TILE = 27, 37, 21, 8
CASE = {"function": "tiled_matmul", "order": "first"}
OUTPUTS = ("c",)


def matrices() -> tuple[Any, Any]:
    """Two smooth ones, so that a tile out of place is seen."""
    i, k, j = np.arange(M)[:, None], np.arange(K), np.arange(N)
    return np.sin(i / 5 + k / 7).astype(np.float32), np.cos(k[:, None] / 6 - j / 8).astype(np.float32)


def launch(case: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """One launch."""
    a, b = matrices()
    sizes = {"M": np.int32(M), "N": np.int32(N), "K": np.int32(K)}
    return (
        (-(-N // TILE), -(-M // TILE)),
        (TILE, TILE),
        {"a": a, "b": b, "c": np.full((M, N), np.nan, np.float32), **sizes},
    )


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The product, and the decimal logarithm of its error."""
    a, b = matrices()
    error = np.abs(data["c"] - a @ b)
    left, right = figure.subplots(1, 2)
    left.imshow(data["c"], cmap="YlGnBu")
    left.set_title("your C; the lines are tiles, one for each block")
    image = right.imshow(np.log10(error + 1e-9), cmap="PuOr_r", vmin=-9, vmax=1)
    right.set_title(f"log10 of the error; the largest is {error.max():.2g}")
    figure.colorbar(image, ax=right, shrink=0.7)
    for axes in (left, right):
        axes.set_xticks(np.arange(0, N, TILE) - 0.5, np.arange(0, N, TILE).tolist())
        axes.set_yticks(np.arange(0, M, TILE) - 0.5, np.arange(0, M, TILE).tolist())
        axes.grid(color="white", lw=0.8)
