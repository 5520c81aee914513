"""The picture of exercise 12: a weight with tiny gradients in float16, and the factor that the scaler finds."""

from typing import Any

import numpy as np

STEPS, SIZE = 120, 2e-8  # a gradient of that size is nothing in float16


def run(case: dict[str, Any]) -> Any:
    """Descent on SIZE times w^2 / 2 with gradients rounded to float16, with and without the scaler."""
    from minigrad import Tensor
    from minigrad.precision import GradScaler, round_to

    parameter = Tensor(np.array([1.0], np.float32), requires_grad=True)
    scaler = GradScaler(init_scale=2.0**45, growth_interval=12)
    optimizer: Any = Descent(parameter)
    plain, factors, stepped, weights, without = np.float32(1.0), [], [], [], []
    for step in range(STEPS):
        noise = 3.0 if step % 37 == 36 else 1.0  # now and then a batch with a larger gradient
        true = np.float32(SIZE * noise)
        parameter.grad = Tensor(round_to(np.float32(scaler.factor) * true * parameter.data, "float16"))
        factors.append(scaler.factor)
        stepped.append(bool(scaler.step(optimizer)))
        scaler.update()
        weights.append(float(parameter.data[0]))
        plain = plain - np.float32(0.03 / SIZE) * round_to(np.array([true * plain], np.float32), "float16")[0]
        without.append(float(plain))
    return {"factors": factors, "stepped": stepped, "weights": weights, "without": without}


class Descent:
    """Plain descent, with a rate for gradients of SIZE."""

    def __init__(self, parameter: Any) -> None:
        self.params = [parameter]

    def step(self) -> None:
        parameter = self.params[0]
        parameter.data = parameter.data - np.float32(0.03 / SIZE) * parameter.grad.data


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The factor with the steps left out, and the weight."""
    left, right = figure.subplots(1, 2)
    steps = np.arange(len(data["factors"]))
    left.semilogy(steps, data["factors"], color="#08305c", base=2, drawstyle="steps-post")
    skipped = ~np.array(data["stepped"])
    left.plot(steps[skipped], np.array(data["factors"])[skipped], "x", color="#dd6f1a", label="step left out")
    left.legend(frameon=False, fontsize=8)
    left.set(xlabel="step", title="your factor: down until nothing overflows, then up now and then")
    right.plot(data["weights"], color="#08305c", label="with your scaler")
    right.plot(data["without"], color="#dd6f1a", linestyle="--", label="without: float16 rounds the gradient")
    right.legend(frameon=False, fontsize=8)
    right.set(xlabel="step", ylabel="weight", title=f"gradients of {SIZE:g} in float16", ylim=(-0.05, 1.2))
    for axes in (left, right):
        axes.title.set_fontsize(10)
