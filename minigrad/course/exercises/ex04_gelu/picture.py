"""The picture of exercise 04: both forms, both derivatives, and how far the forms are apart."""

from typing import Any

import numpy as np

FORMS = ("none", "tanh")


def run(case: dict[str, Any]) -> Any:
    """Both functions in both forms, along a line."""
    from minigrad.kernels.naive_cpu import gelu_backward, gelu_forward

    x = np.linspace(-5, 5, 401)
    one = np.ones_like(x)
    return {
        "x": x,
        "y": [gelu_forward(x.copy(), form) for form in FORMS],
        "dy": [gelu_backward(one.copy(), x.copy(), form) for form in FORMS],
    }


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The curves, and their small difference on a scale of its own."""
    x = data["x"]
    upper = figure.subplots(1, 2)
    upper[0].plot(x, data["y"][0], color="#08305c", label="gelu, exact")
    upper[0].plot(x, data["y"][1], color="#dd6f1a", linestyle="--", label="gelu, tanh")
    upper[0].plot(x, data["dy"][0], color="#2f7fbf", label="slope, exact")
    upper[0].plot(x, data["dy"][1], color="#f7c08a", linestyle="--", label="slope, tanh")
    upper[0].set(title="your GELU and its slope", xlabel="x")
    upper[0].legend(frameon=False)
    upper[1].plot(x, data["y"][1] - data["y"][0], color="#08305c", label="gelu")
    upper[1].plot(x, data["dy"][1] - data["dy"][0], color="#2f7fbf", label="slope")
    upper[1].set(title="tanh form minus exact form", xlabel="x")
    upper[1].legend(frameon=False)
