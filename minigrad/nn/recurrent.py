"""Recurrent cells: one step of a network that carries a state along a sequence."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from minigrad.nn import functional as F
from minigrad.nn.module import Module, Parameter
from minigrad.tensor import Tensor


class _Cell(Module):
    """The two products that every cell begins with: one with the input, one with the state."""

    gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = rng or np.random.default_rng()
        bound = 1.0 / math.sqrt(hidden_size)
        rows = self.gates * hidden_size
        self.hidden_size = hidden_size
        self.weight_ih = Parameter(rng.uniform(-bound, bound, (rows, input_size)), dtype)
        self.weight_hh = Parameter(rng.uniform(-bound, bound, (rows, hidden_size)), dtype)
        self.bias_ih = Parameter(rng.uniform(-bound, bound, rows), dtype)
        self.bias_hh = Parameter(rng.uniform(-bound, bound, rows), dtype)

    def _mix(self, x: Tensor, hidden: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias_ih) + F.linear(hidden, self.weight_hh, self.bias_hh)

    def _zeros(self, x: Tensor) -> Tensor:
        return Tensor(np.zeros((x.shape[0], self.hidden_size), x.dtype))


class RNNCell(_Cell):
    """h' = tanh(W x + b + U h + c).

    Args:
        input_size, hidden_size: lengths of x and h.
        rng: source of the initial values, uniform in +-1/sqrt(hidden_size).
        dtype: of the parameters.

    Source: Elman, Finding Structure in Time, 1990.
    """

    gates = 1

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """x (B, I) and h (B, H), zeros if left out, to h' (B, H)."""
        return self._mix(x, hidden if hidden is not None else self._zeros(x)).tanh()


class LSTMCell(_Cell):
    """Long short-term memory: c' = f c + i g, h' = o tanh(c'), with gates i, f, o in (0, 1).

    The memory c is added to, not multiplied through a matrix, so a gradient survives many steps while f is near 1.

    Args:
        input_size, hidden_size: lengths of x and h.
        rng: source of the initial values, uniform in +-1/sqrt(hidden_size).
        dtype: of the parameters.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; forget gate by Gers and others, 2000.
    """

    gates = 4

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """x (B, I) and (h, c) each (B, H), zeros if left out, to (h', c')."""
        hidden, memory = state if state is not None else (self._zeros(x), self._zeros(x))
        i, f, g, o = self._mix(x, hidden).split(self.hidden_size, 1)
        memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
        return o.sigmoid() * memory.tanh(), memory
