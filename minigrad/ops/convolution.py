"""Convolution as a matrix product on unfolded windows.

`Unfold` copies every window to a column, `Fold` adds columns back to windows. Each is the other's transpose, so each
is the other's backward, and a convolution is Unfold, a product and a reshape.
"""

from __future__ import annotations

from typing import Any

from minigrad.autograd import Function
from minigrad.device import Array
from minigrad.kernels import kernels_for

Pair = tuple[int, int]


class Unfold(Function):
    """(B, C, H, W) to (B, C kh kw, windows)."""

    def forward(self, x: Array, *, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
        self.size, self.window = x.shape[2:], {"kernel": kernel, "stride": stride, "dilation": dilation}
        return kernels_for(x).im2col(x, **self.window)

    def backward(self, grad: Any) -> tuple[Any]:
        return (Fold.run(grad, size=self.size, **self.window),)


class Fold(Function):
    """(B, C kh kw, windows) to (B, C, H, W), overlapping windows added."""

    def forward(self, columns: Array, *, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
        self.window = {"kernel": kernel, "stride": stride, "dilation": dilation}
        return kernels_for(columns).col2im(columns, size, **self.window)

    def backward(self, grad: Any) -> tuple[Any]:
        return (Unfold.run(grad, **self.window),)
