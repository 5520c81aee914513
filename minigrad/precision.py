"""Mixed precision: short numbers where they are fast, long ones where they are needed.

A GPU multiplies matrices several times faster in float16 or bfloat16 than in float32: it takes short operands and
adds up the products in float32. Both types have 16 bits and spend them differently:

    float16    10 bits of fraction, smallest 6e-8, largest 65504: precise, and soon at its ends
    bfloat16    7 bits of fraction, the range of float32: a spacing of 2^-7 above 1, and no overflow

Here this is *emulated*: arrays stay float32, and their values are rounded to those that the short type has, before
and after each product. The numbers are a GPU's (to the order of summation); time and memory are not.

Three remedies keep training as good as in float32. Sums, softmax, normalisation and losses stay in float32
(`autocast` rounds the operands of products only). The weights themselves stay in float32 and are rounded where
they are used. And in float16 the loss is multiplied by a large number, so that small gradients do not vanish
(`GradScaler`).

Source: Micikevicius and others, Mixed Precision Training, 2018.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad.autograd import Function, Watcher, no_grad
from minigrad.device import Array
from minigrad.nn import Module, Parameter
from minigrad.optim.optimizer import Optimizer, Trainable
from minigrad.tensor import Tensor

PRECISIONS = ("float32", "float16", "bfloat16")


# ------------------------------------------------------------------------------------------------- rounding


def require_precision(dtype: str) -> None:
    """Refuse a name that is not in PRECISIONS.

    Raises:
        ValueError: another one.
    """
    if dtype not in PRECISIONS:
        raise ValueError(f"precision {dtype!r} is not known; choose from: {', '.join(PRECISIONS)}")


def round_to(array: Array, dtype: str) -> Array:
    """The nearest values that a shorter type has, ties to even, in an array of the old dtype.

    Args:
        array: float, any shape.
        dtype: "float16", "bfloat16" or "float32".

    Returns:
        An array of the same dtype. What is too large for the short type becomes infinite.

    Raises:
        ValueError: another name.

    >>> round_to(np.float32([1.001, 70000.0, 1e-8]), "float16")
    array([1.0009766,       inf, 0.       ], dtype=float32)
    >>> round_to(np.float32([1.001, 1.005]), "bfloat16")
    array([1.       , 1.0078125], dtype=float32)
    """
    require_precision(dtype)
    if dtype == "bfloat16":
        from ml_dtypes import bfloat16

        short: Any = bfloat16
    else:
        short = np.dtype(dtype)
    with np.errstate(over="ignore"):  # an infinity is the answer, not an accident
        return array.astype(short).astype(array.dtype)


class Round(Function):
    """Values rounded to a shorter type on the way forward, and gradients on the way back.

    It is what a cast to that type does: the gradient of a float16 tensor is a float16 tensor.
    """

    def forward(self, x: Array, *, dtype: str) -> Array:
        """Nearest values of the short type."""
        self.dtype = dtype
        return round_to(x, dtype)

    def backward(self, grad: Any) -> tuple[Any]:
        """The same to the gradient."""
        return (Round.run(grad, dtype=self.dtype),)


# ------------------------------------------------------------------------------------------------- autocast

# The operations that multiply and add up, by class name (a convolution is a MatMul). Every other one
# stays in float32.
ROUNDED = {"MatMul", "Linear", "Einsum", "Attention", "PackedAttention", "BlockwiseAttention"}

_innermost: ContextVar[autocast | None] = ContextVar("autocast", default=None)


class autocast(Watcher):
    """Inside the block, products of matrices and attention take rounded operands and give rounded results.

    Everything else, softmax, layer norm and losses among it, computes in float32. Call backward() behind the block
    or in it: the gradients of rounded values are rounded either way.

    Args:
        dtype: "float16" or "bfloat16"; "float32" rounds nothing, not even inside another autocast.

    Raises:
        ValueError: another name.

    Differs: a GPU's fused attention rounds the probabilities too, before they meet the values; ours does not.

    >>> x = Tensor([[1.001]])
    >>> with autocast("bfloat16"):
    ...     (x @ x).item()
    1.0
    """

    def __init__(self, dtype: str) -> None:
        require_precision(dtype)
        self.dtype = dtype

    def __enter__(self) -> autocast:
        super().__enter__()
        self._token_innermost = _innermost.set(self)
        return self

    def __exit__(self, *details: object) -> None:
        _innermost.reset(self._token_innermost)
        super().__exit__(*details)

    def forward(self, op: type[Function], inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run an operation, between two roundings if it is one of ROUNDED."""
        if self.dtype == "float32" or op.__name__ not in ROUNDED or _innermost.get() is not self:
            return super().forward(op, inputs, params)
        operands = tuple(self._rounded(x) if x.dtype.kind == "f" else x for x in inputs)
        return self._rounded(super().forward(op, operands, params))

    def _rounded(self, x: Tensor) -> Tensor:
        rounded: Tensor = super().forward(Round, (x,), {"dtype": self.dtype})
        return rounded


# --------------------------------------------------------------------------------------------- loss scaling


class GradScaler:
    """Multiplies the loss so that small gradients survive float16, and finds the factor while training.

    float16 has nothing between 0 and 6e-8. A gradient of 1e-8 becomes 0; times 2^16 it is 7e-4, and safe. Divided
    by the factor again, in float32, it is what it was. Too large a factor makes gradients overflow: then the step
    is left out and the factor halved. After many good steps it is doubled again, to stay as high as it can.

        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)       # if gradients are clipped or looked at
        scaler.step(optimizer)           # left out if a gradient is not finite
        scaler.update()

    Args:
        init_scale: first factor.
        growth_factor, backoff_factor: what it is multiplied by after good steps, and after an overflow.
        growth_interval: how many good steps in a row it takes.

    Raises:
        ValueError: a factor that does not grow or does not back off.

    Source: Micikevicius and others, Mixed Precision Training, 2018, section 3.2; PyTorch's names.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        if not (init_scale > 0.0 and growth_factor > 1.0 and 0.0 < backoff_factor < 1.0 and growth_interval >= 1):
            raise ValueError(
                f"GradScaler needs init_scale > 0, growth_factor > 1, backoff_factor in (0, 1) and growth_interval "
                f">= 1, got {init_scale}, {growth_factor}, {backoff_factor} and {growth_interval}"
            )
        self.factor = float(init_scale)
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval = growth_interval
        self.good_steps = 0
        self.finite: bool | None = None  # whether this step's gradients are; None before they are unscaled

    def scale(self, loss: Tensor) -> Tensor:
        """The loss times the factor."""
        return loss * self.factor

    def unscale_(self, optimizer: Optimizer) -> bool:
        """Divide the optimizer's gradients by the factor; see `unscale_gradients`."""
        return self.unscale_gradients(optimizer.params)

    def unscale_gradients(self, parameters: Iterable[Trainable]) -> bool:
        """Divide gradients by the factor, in place, and see whether all are finite.

        Several ranks do this to the averaged gradients: one rank's infinity is then everyone's, and all agree.

        Returns:
            Whether they are.

        Raises:
            RuntimeError: a second time in one step.
        """
        if self.finite is not None:
            raise RuntimeError("gradients were already unscaled since the last update()")
        gradients = [parameter.grad.data for parameter in parameters if parameter.grad is not None]
        for gradient in gradients:
            gradient *= 1.0 / self.factor
        self.finite = all(bool(np.isfinite(gradient).all()) for gradient in gradients)
        return self.finite

    def step(self, optimizer: Optimizer) -> bool:
        """Let the optimizer step, unless a gradient is infinite or NaN.

        Returns:
            Whether it stepped.
        """
        if self.finite is None:
            self.unscale_(optimizer)
        if self.finite:
            optimizer.step()
        return bool(self.finite)

    def update(self) -> None:
        """Choose the factor of the next step.

        Raises:
            RuntimeError: no step was taken or refused since the last update.
        """
        if self.finite is None:
            raise RuntimeError("update() needs a step() or unscale_() before it")
        if not self.finite:
            self.factor *= self.backoff_factor
            self.good_steps = 0
        else:
            self.good_steps += 1
            if self.good_steps == self.growth_interval:
                self.factor *= self.growth_factor
                self.good_steps = 0
        self.finite = None

    def state_dict(self) -> dict[str, Any]:
        """Factor and count of good steps."""
        return {"factor": self.factor, "good_steps": self.good_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.factor, self.good_steps = float(state["factor"]), int(state["good_steps"])


# -------------------------------------------------------------------------------------------- master weights


class MasterWeights:
    """Weights that are stored short, each with a float32 original that collects the updates.

    bfloat16 has nothing between 1 and 1.0078. A weight of 1 that is moved by 0.001 and rounded stays at 1, however
    often. The original moves by 0.001 each time, and after a few steps the rounded weight follows.

    Under `autocast` the parameters of the model are such originals already. This class is for models whose
    parameters are themselves short, as on a GPU with no room for both.

    Args:
        model: its parameters are rounded at once.
        dtype: "float16" or "bfloat16".
    """

    def __init__(self, model: Module, dtype: str) -> None:
        require_precision(dtype)
        self.dtype = dtype
        self.parameters: list[Parameter] = list(model.parameters())
        self.masters = [parameter.data.copy() for parameter in self.parameters]
        round_parameters(self.parameters, dtype)

    def step(self, optimizer: Optimizer) -> None:
        """One step of the optimizer on the originals; the model gets them rounded."""
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            parameter.data[...] = master
        optimizer.step()
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            master[...] = parameter.data
        round_parameters(self.parameters, self.dtype)


def round_parameters(parameters: Iterable[Parameter], dtype: str) -> None:
    """Round parameters in place to the values of a shorter type."""
    with no_grad():
        for parameter in parameters:
            parameter.copy_(round_to(parameter.data, dtype))
