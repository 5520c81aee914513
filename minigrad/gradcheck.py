"""Check a gradient against the function itself: central differences along a random direction.

A check with an all-ones cotangent proves little: the sum of a softmax's outputs is always 1 and that of layer
norm's is constant, so a backward that returns zeros passes it. Here the cotangent and the direction are
random, and every input gets its own comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigrad.autograd import grad, no_grad
from minigrad.tensor import Tensor

ROUNDING = 1e-9  # of a difference of two values of size 1, divided by 2e-6, with some room


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor] | Tensor,
    *,
    rng: np.random.Generator,
    step: float = 1e-6,
    rtol: float = 1e-6,
    second_order: bool = False,
) -> bool:
    """Compare `function`'s gradient with central differences.

    With a random cotangent c and, for each input, a random direction d, <c, f(x + h d) - f(x - h d)> / 2h must
    equal <gradient, d>.

    Args:
        function: takes the inputs, returns one tensor of any shape.
        inputs: float64 tensors with requires_grad=True; any shape, empty and 0-d included.
        rng: source of the cotangent and directions.
        step: h. The error of the difference is about h^2 + 1e-16 / h.
        rtol: allowed difference relative to the size of the terms that are summed.
        second_order: check the gradient of the gradient in the same way.

    Returns:
        True.

    Raises:
        AssertionError: gradients differ; the message names the input and both numbers.
        TypeError: an input that is not float64 or requires no gradient.

    >>> x = Tensor(np.linspace(-1, 1, 5), requires_grad=True)
    >>> gradcheck(lambda x: x.tanh(), [x], rng=np.random.default_rng(0))
    True
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for position, tensor in enumerate(inputs):
        if tensor.dtype != np.float64 or not tensor.requires_grad:
            raise TypeError(
                f"inputs[{position}] must be float64 with requires_grad=True, got {tensor.dtype}, "
                f"requires_grad={tensor.requires_grad}"
            )
    output = function(*inputs)
    cotangent = rng.standard_normal(output.shape)
    noise = ROUNDING * float(np.abs(cotangent * output.data).sum())
    gradients = grad(output, inputs, Tensor(cotangent), allow_unused=True)
    for position, (tensor, analytic) in enumerate(zip(inputs, gradients, strict=True)):
        direction = rng.standard_normal(tensor.shape)
        products = (analytic.data if analytic is not None else np.zeros(tensor.shape)) * direction
        numeric_terms = cotangent * _difference(function, inputs, position, direction, step)
        _compare(position, products, numeric_terms, rtol, noise)
    if second_order:
        _check_second_order(function, inputs, Tensor(cotangent), rng, step, rtol)
    return True


def _difference(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], position: int, direction: np.ndarray, step: float
) -> np.ndarray:
    """(f(x + h d) - f(x - h d)) / 2h, moving the input at `position` only."""
    values = []
    for sign in (1.0, -1.0):
        moved = list(inputs)
        moved[position] = Tensor(inputs[position].data + sign * step * direction)
        with no_grad():
            values.append(function(*moved).data)
    return (values[0] - values[1]) / (2.0 * step)


def _compare(position: int, analytic: np.ndarray, numeric: np.ndarray, rtol: float, noise: float) -> None:
    """Compare two sums; the scale is the size of their terms, so that cancellation does not tighten the test.

    `noise` is what rounding in the function's values makes of a difference that should be 0.
    """
    scale = max(float(np.abs(analytic).sum()), float(np.abs(numeric).sum()))
    left, right = float(analytic.sum()), float(numeric.sum())
    assert np.isfinite(left), f"gradient of inputs[{position}] is not finite: {left}"
    assert abs(left - right) <= rtol * scale + noise, (
        f"gradient of inputs[{position}] is wrong: the backward gives {left:.10g} along a random direction, "
        f"central differences give {right:.10g}"
    )


def _check_second_order(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    cotangent: Tensor,
    rng: np.random.Generator,
    step: float,
    rtol: float,
) -> None:
    """Check the gradient of <gradient, fixed random weights>, which is a function like any other."""
    weights = [rng.standard_normal(tensor.shape) for tensor in inputs]

    def first_gradient(*at: Tensor) -> Tensor:
        live = [t if t.requires_grad else Tensor(t.data, requires_grad=True) for t in at]
        from minigrad.autograd import set_grad_enabled

        with set_grad_enabled(True):
            found = grad(function(*live), live, cotangent, create_graph=True, allow_unused=True)
            terms = [(g * Tensor(w)).sum() for g, w in zip(found, weights, strict=True) if g is not None]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            return total

    total = first_gradient(*inputs)
    noise = ROUNDING * max(1.0, float(np.abs(total.data).sum()))
    if not total.requires_grad:  # a linear function: its gradient is constant, and so must the numbers be
        total = total + sum((t.sum() * 0.0 for t in inputs), start=Tensor(np.zeros(())))
    seconds = grad(total, inputs, allow_unused=True)
    for position, (tensor, analytic) in enumerate(zip(inputs, seconds, strict=True)):
        direction = rng.standard_normal(tensor.shape)
        products = (analytic.data if analytic is not None else np.zeros(tensor.shape)) * direction
        numeric = _difference(first_gradient, inputs, position, direction, step)
        _compare(position, products, numeric, 10 * rtol, noise)
