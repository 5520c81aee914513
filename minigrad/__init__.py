"""minigrad: a small reverse-mode autograd engine with hand-written kernels.

>>> import minigrad as mg
>>> x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
Tensor([2., 4., 6.])
"""

from minigrad import nn, optim
from minigrad.autograd import Function, grad, is_grad_enabled, no_grad, set_grad_enabled
from minigrad.gradcheck import gradcheck
from minigrad.tensor import Tensor, cat, einsum, stack, where

__version__ = "0.1.0"

__all__ = [
    "Function",
    "Tensor",
    "cat",
    "einsum",
    "grad",
    "gradcheck",
    "is_grad_enabled",
    "nn",
    "no_grad",
    "optim",
    "set_grad_enabled",
    "stack",
    "where",
]
