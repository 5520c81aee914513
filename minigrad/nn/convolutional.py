"""Layers for images and sequences: convolution, pooling, flattening."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from minigrad.nn.image import Size, avg_pool2d, conv1d, conv2d, max_pool2d, pair
from minigrad.nn.module import Module, Parameter
from minigrad.tensor import Tensor


class Conv2d(Module):
    """A bank of filters slid over images.

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, padding, dilation: one number for both axes, or (down, right).
        bias: add one number per filter.
        rng: source of the initial values, uniform in +-1/sqrt(C kh kw).
        dtype: of the parameters.

    Shapes: x (B, C, H, W) to (B, O, oh, ow); weight (O, C, kh, kw).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = rng or np.random.default_rng()
        kernel = pair("kernel_size", kernel_size)
        bound = 1.0 / math.sqrt(in_channels * kernel[0] * kernel[1])
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.weight = Parameter(rng.uniform(-bound, bound, (out_channels, in_channels, *kernel)), dtype)
        self.bias = Parameter(rng.uniform(-bound, bound, out_channels), dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, O, oh, ow)."""
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        """Sizes."""
        out_channels, in_channels, *kernel = self.weight.shape
        return f"{in_channels}, {out_channels}, kernel_size={tuple(kernel)}"


class Conv1d(Module):
    """A bank of filters slid along sequences: x (B, C, T) to (B, O, ot); weight (O, C, k)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = rng or np.random.default_rng()
        bound = 1.0 / math.sqrt(in_channels * kernel_size)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.weight = Parameter(rng.uniform(-bound, bound, (out_channels, in_channels, kernel_size)), dtype)
        self.bias = Parameter(rng.uniform(-bound, bound, out_channels), dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, O, ot)."""
        return conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)


class MaxPool2d(Module):
    """Largest element of each window of (B, C, H, W)."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, oh, ow)."""
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(Module):
    """Mean of each window of (B, C, H, W)."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, oh, ow)."""
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class Flatten(Module):
    """(B, ...) to (B, everything else)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to (B, N)."""
        return x.flatten(1)
