"""The product of a Hessian with a vector, exactly and by differences of gradients.

With g(x) the gradient of a scalar f, the Hessian is H = dg/dx, and for a fixed v the product is the gradient of
the number <g(x), v>:

    H v = d/dx <g(x), v>

So one more backward through the graph that the first backward left behind gives H v exactly. The other way needs
no second order at all: move a little along v and see how the gradient changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.autograd import grad
from minigrad.tensor import Tensor

Vector = NDArray[Any]
Loss = Callable[[], Tensor]


class Hessian:
    """The second derivatives of a loss at the present parameters, as an operator: `hessian @ vector`.

    The graph of the gradient is built once and kept, so each product costs one backward through it. Vectors are
    flat and float64: all parameters one after the other, in the order given.

    Args:
        loss: computes the scalar loss from the parameters; called once. It must be a fixed function of them:
            dropout off, the same batch.
        parameters: the tensors to differentiate by; floating dtype, requires_grad.

    Attributes:
        shape: (n, n), n the number of parameters.
        gradient: (n,) float64, the gradient at this point.

    Raises:
        ValueError: no parameters, or a loss that is not a scalar.
        RuntimeError: on a product, if a parameter was written in place since.

    Cost: a product about two gradients; memory that of the graph of the gradient.
    """

    def __init__(self, loss: Loss, parameters: Iterable[Tensor]) -> None:
        self.parameters = checked_parameters(parameters)
        value = scalar(loss)
        self._gradients = grad(value, self.parameters, create_graph=True, allow_unused=True)
        self.gradient = flatten(self._gradients, self.parameters)
        self.shape = (len(self.gradient), len(self.gradient))

    def __matmul__(self, vector: Vector) -> Vector:
        """H v, (n,) float64."""
        pieces = unflatten(vector, self.parameters)
        products = [
            (gradient * Tensor(piece)).sum()
            for gradient, piece in zip(self._gradients, pieces, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
        if not products:  # a linear loss: its gradient does not depend on the parameters
            return np.zeros(self.shape[0])
        along = products[0]
        for product in products[1:]:
            along = along + product
        found = grad(along, self.parameters, retain_graph=True, allow_unused=True)
        return flatten(found, self.parameters)


def hessian_vector_product(loss: Loss, parameters: Iterable[Tensor], vector: Vector) -> Vector:
    """H v by double backward, exact up to rounding.

    Args:
        loss: computes the scalar loss from the parameters.
        parameters: what to differentiate by.
        vector: (n,) for n parameters in all.

    Returns:
        (n,) float64.

    Raises:
        ValueError: a vector of another length, no parameters, a loss that is not a scalar.

    Cost: two backward passes, the second through the graph of the first.

    Source: Pearlmutter, Fast Exact Multiplication by the Hessian, 1994 (there with forward differentiation).
    """
    return Hessian(loss, parameters) @ vector


def difference_product(
    loss: Loss, parameters: Iterable[Tensor], vector: Vector, eps: float, central: bool = False
) -> Vector:
    """H v from gradients alone: (g(x + eps v) - g(x)) / eps.

    Args:
        loss: computes the scalar loss from the parameters.
        parameters: moved by eps v, and back to the very bits they had.
        vector: (n,).
        eps: step; with |v| = 1 it is a distance. The error is about eps |third derivative| / 2 from
            truncation plus (machine epsilon) |g| / eps from rounding, smallest near the root of the machine
            epsilon.
        central: (g(x + eps v) - g(x - eps v)) / 2 eps instead, whose truncation error is of order eps^2.

    Returns:
        (n,) float64.

    Raises:
        ValueError: eps not positive and finite; otherwise as `hessian_vector_product`.

    Cost: two gradients, and no second-order rule of any operation.
    """
    if not 0.0 < eps < np.inf:
        raise ValueError(f"eps={eps} must be positive and finite")
    parameters = checked_parameters(parameters)
    with moved(parameters, eps * vector):
        ahead = flat_gradient(loss, parameters)
    with moved(parameters, -eps * vector if central else 0.0 * vector):
        behind = flat_gradient(loss, parameters)
    return (ahead - behind) / (2.0 * eps if central else eps)


def difference_errors(
    loss: Loss, parameters: Iterable[Tensor], vector: Vector, steps: Sequence[float], central: bool = False
) -> NDArray[np.float64]:
    """Relative error of `difference_product` at each step, against the exact product.

    Args:
        loss, parameters, vector, central: as there.
        steps: values of eps.

    Returns:
        |difference - exact| / |exact| for each.

    Raises:
        ValueError: H v is zero, so that no error is relative to it.
    """
    parameters = checked_parameters(parameters)
    exact = hessian_vector_product(loss, parameters, vector)
    scale = float(np.linalg.norm(exact))
    if scale == 0.0:
        raise ValueError("vector gives H v = 0, and an error relative to zero means nothing; choose another")
    errors = [difference_product(loss, parameters, vector, eps, central) - exact for eps in steps]
    return np.array([np.linalg.norm(error) / scale for error in errors])


def flat_gradient(loss: Loss, parameters: Sequence[Tensor]) -> Vector:
    """The gradient at the present parameters, (n,) float64."""
    return flatten(grad(scalar(loss), parameters, allow_unused=True), parameters)


@contextmanager
def moved(parameters: Sequence[Tensor], displacement: Vector) -> Iterator[None]:
    """Add `displacement` (n,) to the parameters inside the `with` block; afterwards they have their old bits."""
    before = [parameter.data for parameter in parameters]
    try:
        for parameter, piece in zip(parameters, unflatten(displacement, parameters), strict=True):
            parameter.data = parameter.data + piece
        yield
    finally:
        for parameter, data in zip(parameters, before, strict=True):
            parameter.data = data


def flatten(arrays: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Vector:
    """One float64 vector of all; None stands for zeros."""
    pieces = [
        np.zeros(parameter.numel()) if tensor is None else np.asarray(tensor.data, np.float64).reshape(-1)
        for tensor, parameter in zip(arrays, parameters, strict=True)
    ]
    return np.concatenate(pieces)


def unflatten(vector: Vector, parameters: Sequence[Tensor]) -> list[Vector]:
    """Cut a flat vector into arrays of the parameters' shapes and dtypes."""
    ends = np.cumsum([parameter.numel() for parameter in parameters])
    if np.shape(vector) != (ends[-1],):
        raise ValueError(f"vector has shape {np.shape(vector)}, the parameters need ({ends[-1]},)")
    pieces = np.split(np.asarray(vector), ends[:-1])
    return [
        piece.reshape(parameter.shape).astype(parameter.dtype)
        for piece, parameter in zip(pieces, parameters, strict=True)
    ]


def scalar(loss: Loss) -> Tensor:
    """The loss, refused unless it is one number."""
    value = loss()
    if value.numel() != 1:
        raise ValueError(f"loss() must return a scalar, got shape {value.shape}")
    return value


def checked_parameters(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list, refused if empty."""
    found = list(parameters)
    if not found:
        raise ValueError("parameters is empty; a Hessian needs something to differentiate by")
    return found
