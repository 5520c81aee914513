"""Products with the Jacobian, and the whole of it where it is small.

Reverse mode gives v^T J in one walk. J v needs a second walk: v^T J is linear in v, and its own derivative with
respect to v, applied to a direction, is J times that direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.autograd import grad, set_grad_enabled
from minigrad.tensor import Tensor, stack


def vjp(function: Callable[[Tensor], Tensor], x: Tensor, v: Any) -> tuple[Tensor, Tensor]:
    """v^T J: the gradient of <v, function(x)>.

    Args:
        function: one tensor to one tensor.
        x: where.
        v: of the output's shape.

    Returns:
        (function(x), v^T J of x's shape).

    Cost: one forward and one walk.

    >>> x = Tensor(np.array([1.0, 2.0]))
    >>> vjp(lambda x: x * x, x, np.array([1.0, 10.0]))[1].tolist()
    [2.0, 40.0]
    """
    at = _leaf(x)
    with set_grad_enabled(True):
        output = function(at)
    return output.detach(), _or_zeros(grad(output, at, v, allow_unused=True)[0], at)


def jvp(function: Callable[[Tensor], Tensor], x: Tensor, v: Any) -> tuple[Tensor, Tensor]:
    """J v: how the output moves when x moves along v.

    Args:
        function: one tensor to one tensor.
        x: where.
        v: of x's shape.

    Returns:
        (function(x), J v of the output's shape).

    Cost: one forward and two walks.
    """
    at = _leaf(x)
    with set_grad_enabled(True):
        output = function(at)
        dual = Tensor(np.zeros_like(output.data), requires_grad=True)  # J v does not depend on it
        (pulled,) = grad(output, at, dual, create_graph=True, allow_unused=True)
    if pulled is None or not pulled.requires_grad:
        return output.detach(), Tensor(np.zeros_like(output.data))
    (pushed,) = grad(pulled, dual, v, allow_unused=True)
    return output.detach(), _or_zeros(pushed, dual)


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The whole Jacobian, one walk for each element of the output.

    Args:
        function: one tensor to one tensor.
        x: where.

    Returns:
        Tensor of shape (*output.shape, *x.shape).

    Cost: one forward, and as many walks as the output has elements.

    >>> jacobian(lambda x: x * x, Tensor(np.array([1.0, 2.0]))).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    at = _leaf(x)
    with set_grad_enabled(True):
        output = function(at)
    rows = []
    for position in range(output.numel()):
        unit = np.zeros(output.numel(), output.dtype)
        unit[position] = 1.0
        (row,) = grad(output, at, unit.reshape(output.shape), retain_graph=True, allow_unused=True)
        rows.append(_or_zeros(row, at))
    if not rows:
        return Tensor(np.zeros((*output.shape, *at.shape), at.dtype))
    return stack(rows).reshape(*output.shape, *at.shape)


def _leaf(x: Tensor) -> Tensor:
    return Tensor(x.data, requires_grad=True)


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return Tensor(np.zeros_like(like.data)) if gradient is None else gradient.detach()
