"""The picture of exercise 13: the error of the student's differences against eps, beside their exact product."""

from typing import Any

import numpy as np

STEPS = np.logspace(-12, 0, 37)


def run(case: dict[str, Any]) -> Any:
    """Both differences on a small tanh net, at many eps."""
    from minigrad import Tensor
    from minigrad.curvature.products import difference_product, hessian_vector_product

    rng = np.random.default_rng(0)
    inputs, targets = Tensor(rng.standard_normal((16, 3))), Tensor(rng.standard_normal((16, 1)))
    parameters = [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((3, 5), (5, 1))]

    def loss() -> Any:
        return (((inputs @ parameters[0]).tanh() @ parameters[1] - targets) ** 2).mean()

    vector = rng.standard_normal(20)
    vector /= np.linalg.norm(vector)
    exact = hessian_vector_product(loss, parameters, vector)
    errors = [
        [np.linalg.norm(difference_product(loss, parameters, vector, eps, central=central) - exact) for eps in STEPS]
        for central in (False, True)
    ]
    return {"errors": np.array(errors) / np.linalg.norm(exact)}


def draw(figure: Any, data: dict[str, Any]) -> None:
    """Two lines that fall with eps, until rounding lets them rise again."""
    axes = figure.add_subplot()
    names = ("forward: error of order eps", "central: of order eps^2")
    for name, errors, colour in zip(names, data["errors"], ("#dd6f1a", "#08305c"), strict=True):
        axes.loglog(STEPS, np.maximum(errors, 1e-17), color=colour, marker=".", label=name)
    axes.loglog(STEPS, 1e-16 / STEPS, color="#57606a", linestyle=":", label="rounding: 1e-16 / eps")
    axes.axvline(1e-8, color="#57606a", linewidth=0.8, linestyle="--")
    axes.text(1.2e-8, 1e-14, "root of the machine epsilon", fontsize=8)
    axes.set(xlabel="eps", ylabel="relative error", ylim=(1e-15, 10),
             title="your differences of gradients against your exact product")  # fmt: skip
    axes.legend(frameon=False, fontsize=8)
