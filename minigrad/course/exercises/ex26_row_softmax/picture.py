"""The picture of exercise 26: rows through the student's kernel, and NumPy's beside them."""

from typing import Any

import numpy as np

COLUMNS, THREADS = 40, 16
CASE = {"function": "row_softmax", "order": "first"}
OUTPUTS = ("y",)


def matrix() -> Any:
    """Three rows at different levels; the softmax does not see the level."""
    j = np.arange(COLUMNS)
    return np.array([np.sin(j / 4), 2 * np.cos(j / 6) + 100, -((j - 20) ** 2) / 60 - 200], np.float32)


def launch(case: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """One launch."""
    x = matrix()
    return len(x), THREADS, {"x": x, "y": np.full_like(x, np.nan), "columns": np.int32(COLUMNS)}


def draw(figure: Any, data: dict[str, Any]) -> None:
    """A panel for each row."""
    x = matrix().astype(np.float64)
    right = np.exp(x - x.max(axis=1, keepdims=True))
    right /= right.sum(axis=1, keepdims=True)
    owner = np.arange(COLUMNS) % THREADS
    for row, axes in enumerate(figure.subplots(1, len(x))):
        axes.bar(
            np.arange(COLUMNS), np.nan_to_num(data["y"][row]), color=["#2f7fbf" if t else "#dd6f1a" for t in owner]
        )
        axes.plot(right[row], ".", color="#08305c")
        axes.set(title=f"row {row}, entries around {x[row].mean():.0f}", xlabel="column")
    figure.suptitle("bars: your softmax, orange what thread 0 computed; dots: NumPy's", fontsize=10)
