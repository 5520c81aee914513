"""Anomaly detection: the first NaN or infinity is named where it is born, not where the loss shows it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from minigrad.autograd import Function, Watcher
from minigrad.device import Array

PACKAGE = Path(__file__).parent


class AnomalyError(ArithmeticError):
    """An operation made the first NaN or infinity out of finite numbers."""


class detect_anomaly(Watcher):  # PyTorch's name
    """Inside `with detect_anomaly():` stop at the first operation that makes a NaN or an infinity.

    The error names the operation, the line of the program that called it, and the inputs' ranges. Every result is
    looked through, so training under it is slower by about a fifth.

    >>> import minigrad as mg
    >>> x = mg.Tensor([1.0, 0.0], requires_grad=True)
    >>> with detect_anomaly(), np.errstate(all="ignore"):
    ...     x.log()
    Traceback (most recent call last):
    ...
    minigrad.anomaly.AnomalyError: forward of Log made 1 of 2 numbers not finite, first at index 1; its inputs ...
    """

    def forward(self, op: type[Function], inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run an operation and look at what it made."""
        output = super().forward(op, inputs, params)
        line = calling_line(sys._getframe(1))
        if output.grad_fn is not None:
            output.grad_fn.created_at = line
        arrays = [tensor.data for tensor in inputs]
        if all_finite(arrays) and not all_finite([output.data]):
            made = describe(output.data)
            raise AnomalyError(f"forward of {op.__name__} made {made}; its inputs {ranges(arrays)} ({line})")
        return output

    def backward(self, node: Function, gradient: Any, create_graph: bool) -> tuple[Any, ...]:
        """Run a rule and look at the gradients it made."""
        incoming = [as_array(gradient), *(as_array(operand) for operand in node.operands(as_tensors=False))]
        shares = super().backward(node, gradient, create_graph)
        for position, share in enumerate(shares):
            if share is not None and all_finite(incoming) and not all_finite([as_array(share)]):
                raise AnomalyError(
                    f"backward of {type(node).__name__} made {describe(as_array(share))} in the gradient of its "
                    f"input {position}; the incoming gradient {ranges(incoming[:1])} "
                    f"(forward: {getattr(node, 'created_at', 'recorded outside detect_anomaly')})"
                )
        return shares


def as_array(x: Any) -> Array:
    """The numbers of an array or tensor."""
    return x.data if isinstance(x, Function.tensor_type) else np.asarray(x)


def all_finite(arrays: list[Array]) -> bool:
    """Whether no floating array holds a NaN or an infinity."""
    return all(bool(np.isfinite(array).all()) for array in arrays if array.dtype.kind == "f")


def describe(array: Array) -> str:
    """How many numbers are not finite, and where the first is."""
    wrong = ~np.isfinite(array)
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f", first at index {first[0] if len(first) == 1 else first}" if first else ""
    return f"{int(wrong.sum())} of {array.size} numbers not finite{place}"


def ranges(arrays: list[Array]) -> str:
    """Smallest and largest number of each array."""
    spans = [f"[{array.min():.3g}, {array.max():.3g}]" for array in arrays if array.size]
    return "range over " + " and ".join(spans) if spans else "are empty"


def calling_line(frame: FrameType | None) -> str:
    """`file:line` of the innermost frame outside this package."""
    while frame is not None and Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else "?"
