"""Operations: each derivative written once, knowing arrays and tensors but no device.

`OPS` lists every operation class of this package by name; the gradient battery in the tests walks it, so an
operation without a row in the test table is a failing test.
"""

from __future__ import annotations

from minigrad.autograd import Function, Fused
from minigrad.ops import attention, convolution, elementwise, fused, linear, reduction, shape

OPS: dict[str, type[Function]] = {
    name: value
    for module in (elementwise, reduction, shape, linear, fused, convolution, attention)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Function) and value not in (Function, Fused)
}
