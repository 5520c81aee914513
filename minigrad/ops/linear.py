"""Matrix products. Both gradients of a product are products with the other factor transposed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.autograd import Function
from minigrad.device import Array
from minigrad.kernels import kernels_for
from minigrad.ops.elementwise import array_of
from minigrad.ops.shape import Expand, unbroadcast


class MatMul(Function):
    """a @ b over the last two axes, of operands with at least two; leading axes broadcast.

    C = A B gives dA = dC B^T and dB = A^T dC: the shapes admit nothing else.
    """

    keeps_inputs = True

    def forward(self, a: Array, b: Array) -> Array:
        return kernels_for(a).matmul(a, b)

    def backward(self, grad: Any, a: Any, b: Any) -> tuple[Any, Any]:
        da = unbroadcast(product(grad, b.swapaxes(-1, -2)), a.shape) if self.needs[0] else None
        if not self.needs[1]:
            return da, None
        if b.ndim == 2:  # one large product instead of a batch of small ones that are summed afterwards
            return da, product(rows(a).swapaxes(0, 1), rows(grad))
        return da, unbroadcast(a.swapaxes(-1, -2) @ grad, b.shape)


class Linear(Function):
    """x W^T + b, the bias added in place to the product.

    Args of forward: x (..., I), weight (O, I), bias (O,).
    """

    keeps_inputs = True

    def forward(self, x: Array, weight: Array, bias: Array) -> Array:
        if x.shape[-1] != weight.shape[1]:
            raise ValueError(f"the input's last axis has {x.shape[-1]}, the weight expects {weight.shape[1]}")
        y = kernels_for(x).matmul(x, weight.T)
        y += bias
        return y

    def backward(self, grad: Any, x: Any, weight: Any, bias: Any) -> tuple[Any, Any, Any]:
        flat = rows(grad)  # (N, O)
        dx = product(flat, weight) if self.needs[0] else None
        return (
            dx if dx is None or x.ndim == 2 else dx.reshape(x.shape),
            product(flat.swapaxes(0, 1), rows(x)) if self.needs[1] else None,
            column_sums(flat) if self.needs[2] else None,
        )


class Einsum(Function):
    """Einstein summation over named axes, such as "bij,bjk->bik".

    The gradient of an operand is an einsum too: of the output's gradient and the other operands, back to the
    operand's own letters. A letter that occurs nowhere else was summed over, so its gradient is spread.
    """

    keeps_inputs = True

    def forward(self, *operands: Array, equation: str) -> Array:
        left, _, self.output = equation.replace(" ", "").partition("->")
        self.terms = left.split(",")
        return np.einsum(equation, *operands, optimize=len(operands) > 2)

    def backward(self, grad: Any, *operands: Any) -> tuple[Any, ...]:
        return tuple(self._one(grad, operands, i) if needed else None for i, needed in enumerate(self.needs))

    def _one(self, grad: Any, operands: tuple[Any, ...], i: int) -> Any:
        terms = [self.output] + [term for j, term in enumerate(self.terms) if j != i]
        others = [grad] + [x for j, x in enumerate(operands) if j != i]
        known = "".join(letter for letter in self.terms[i] if letter in "".join(terms))
        share = Einsum.run(*others, equation=f"{','.join(terms)}->{known}")
        shape = operands[i].shape
        kept = tuple(n if letter in known else 1 for letter, n in zip(self.terms[i], shape, strict=True))
        return Expand.run(share.reshape(kept), shape=shape)


def product(a: Any, b: Any) -> Any:
    """a @ b. Of two matrices of numbers `dot` is the same, and takes half a microsecond less to reach BLAS."""
    return a.dot(b) if b.ndim == 2 >= a.ndim and not isinstance(b, Function.tensor_type) else a @ b


def column_sums(x: Any) -> Any:
    """(N, C) to (C,), as a product with ones, which BLAS streams."""
    ones = np.empty_like(array_of(x), shape=len(x))
    ones.fill(1)
    return product(ones, x)


def rows(x: Any) -> Any:
    """(..., C) as a matrix (N, C); N is written out, since -1 is open where C is 0."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
