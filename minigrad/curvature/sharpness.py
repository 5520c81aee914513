"""Sharpness, the largest eigenvalue of the Hessian, and what gradient descent does to it.

On a quadratic, gradient descent with step size lr multiplies the component along an eigenvector with eigenvalue
lambda by 1 - lr lambda, and so it diverges if any eigenvalue exceeds 2 / lr. A net is no quadratic: its sharpness
rises while it trains until it reaches 2 / lr, and there it stays, at the edge of stability, while the loss goes on
falling, no longer at every step.

Source: Cohen, Kaur, Li, Kolter and Talwalkar, Gradient Descent on Neural Networks Typically Occurs at the Edge of
Stability, 2021.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from minigrad.autograd import grad
from minigrad.curvature.products import Hessian, Loss, checked_parameters, scalar
from minigrad.curvature.spectrum import top_eigenvalue
from minigrad.nn import MLP, Module, Tanh
from minigrad.tensor import Tensor


def sharpness(
    loss: Loss,
    parameters: Iterable[Tensor],
    rng: np.random.Generator,
    tolerance: float = 1e-3,
    max_steps: int = 60,
) -> float:
    """Largest eigenvalue of the Hessian of `loss` at the present parameters.

    Args:
        loss: computes the scalar loss from the parameters, over all the data that gradient descent sees.
        parameters: of the net.
        rng: source of the first Lanczos vector.
        tolerance: residual relative to the value; the value's own error is far smaller.
        max_steps: most Hessian-vector products.

    Returns:
        The eigenvalue, in units of the loss per parameter squared.

    Cost: two gradients, and about two for each of the 5 to 30 products it takes.
    """
    return top_eigenvalue(Hessian(loss, parameters), rng, tolerance, max_steps).value


@dataclass(frozen=True)
class DescentRecord:
    """A look at gradient descent.

    Attributes:
        step: updates done so far.
        loss: before the next one.
        sharpness: there too.
    """

    step: int
    loss: float
    sharpness: float


def gradient_descent(
    loss: Loss, parameters: Iterable[Tensor], lr: float, steps: int, rng: np.random.Generator, every: int = 50
) -> list[DescentRecord]:
    """Plain full-batch gradient descent, x <- x - lr g, with a look at the sharpness now and then.

    Args:
        loss: the scalar loss over all the data.
        parameters: changed in place.
        lr: learning rate.
        steps: updates.
        rng: for the sharpness; the descent itself uses no randomness.
        every: updates between two looks.

    Returns:
        A record per look, the first before any update and the last after all.

    Raises:
        ValueError: lr not positive, steps or every below 1.
    """
    parameters = checked_parameters(parameters)
    if not lr > 0.0:
        raise ValueError(f"lr={lr} must be positive")
    if steps < 1 or every < 1:
        raise ValueError(f"steps={steps} and every={every} must be at least 1")
    records = []
    for step in range(steps + 1):
        value = scalar(loss)
        if step % every == 0 or step == steps:
            records.append(DescentRecord(step, value.item(), sharpness(loss, parameters, rng)))
        if step < steps:
            for parameter, gradient in zip(parameters, grad(value, parameters), strict=True):
                parameter.data -= lr * gradient.data
                parameter.version[0] += 1
    return records


def small_regression(
    rng: np.random.Generator, width: int = 32, degree: int = 4, points: int = 20
) -> tuple[Module, Loss]:
    """A problem on which the edge of stability shows within a second: learn a Chebyshev polynomial.

    Args:
        rng: source of the initial values.
        width: of the two hidden layers, with tanh between.
        degree: of the polynomial on [-1, 1].
        points: evenly spaced examples.

    Returns:
        (net in float64, its loss: half the mean squared error).
    """
    net = MLP([1, width, width, 1], Tanh(), rng=rng, dtype=np.float64)
    inputs = np.linspace(-1.0, 1.0, points)[:, None]
    x, y = Tensor(inputs), Tensor(np.cos(degree * np.arccos(inputs)))

    def loss() -> Tensor:
        difference = net(x) - y
        return (difference * difference).mean() * 0.5

    return net, loss
