"""Functions on images and sequences: convolution and pooling."""

from __future__ import annotations

import math

import numpy as np

from minigrad.kernels.convolution_cpu import window_count
from minigrad.ops.convolution import Unfold
from minigrad.tensor import Tensor

Size = int | tuple[int, int]


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, dilation: Size = 1
) -> Tensor:
    """Slide a bank of filters over images (in deep learning's sense: correlation, the filter is not flipped).

    Args:
        x: (B, C, H, W).
        weight: (O, C, kh, kw).
        bias: (O,) or None.
        stride, padding, dilation: one number for both axes, or (down, right).

    Returns:
        (B, O, oh, ow), oh = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1 and ow likewise.

    Raises:
        ValueError: channels that do not agree, or a filter larger than the padded image.

    Cost: 2 O C kh kw oh ow FLOPs per image, and kh kw / stride^2 times the image's memory for the windows.

    Source: Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks, 2006 (unfolding).
    """
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1]:
        raise ValueError(f"conv2d needs x (B, C, H, W) and weight (O, C, kh, kw), got {x.shape} and {weight.shape}")
    stride, dilation = pair("stride", stride), pair("dilation", dilation)
    x = pad_image(x, padding)
    out_channels, _, *kernel = weight.shape
    columns: Tensor = Unfold.apply(x, kernel=tuple(kernel), stride=stride, dilation=dilation)  # (B, C kh kw, oh ow)
    y = weight.reshape(out_channels, math.prod(weight.shape[1:])) @ columns
    if bias is not None:
        y = y + bias.unsqueeze(-1)
    places = window_count((x.shape[2], x.shape[3]), (kernel[0], kernel[1]), stride, dilation)
    return y.reshape(x.shape[0], out_channels, *places)


def conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:
    """`conv2d` on images one pixel high: x (B, C, T), weight (O, C, k), out (B, O, ot)."""
    if x.ndim != 3 or weight.ndim != 3:
        raise ValueError(f"conv1d needs x (B, C, T) and weight (O, C, k), got {x.shape} and {weight.shape}")
    flat = conv2d(
        x.unsqueeze(2), weight.unsqueeze(2), bias, stride=(1, stride), padding=(0, padding), dilation=(1, dilation)
    )
    return flat.squeeze(2)


def max_pool2d(x: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """Largest element of each window; the gradient goes to the first of the largest.

    Args:
        x: (B, C, H, W).
        kernel_size: of the window.
        stride: between windows; the window's own size by default.
        padding: with -inf, at most half a window.

    Returns:
        (B, C, oh, ow).
    """
    return windows(x, kernel_size, stride, padding, -np.inf, "max_pool2d").max(2).values.reshape(
        *pooled_shape(x, kernel_size, stride, padding)
    )


def avg_pool2d(x: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """Mean of each window, the zeros of the padding included; arguments as in `max_pool2d`."""
    return windows(x, kernel_size, stride, padding, 0.0, "avg_pool2d").mean(2).reshape(
        *pooled_shape(x, kernel_size, stride, padding)
    )


def windows(x: Tensor, kernel_size: Size, stride: Size | None, padding: Size, fill: float, name: str) -> Tensor:
    """Windows of images as (B, C, kh kw, oh ow)."""
    if x.ndim != 4:
        raise ValueError(f"{name} needs x (B, C, H, W), got {x.shape}")
    kernel = pair("kernel_size", kernel_size)
    if any(2 * p > k for p, k in zip(pair("padding", padding, least=0), kernel, strict=True)):
        raise ValueError(f"padding={padding} must be at most half of kernel_size={kernel_size}")
    columns: Tensor = Unfold.apply(
        pad_image(x, padding, fill),
        kernel=kernel,
        stride=pair("stride", kernel_size if stride is None else stride),
        dilation=(1, 1),
    )
    return columns.reshape(x.shape[0], x.shape[1], kernel[0] * kernel[1], columns.shape[2])


def pooled_shape(x: Tensor, kernel_size: Size, stride: Size | None, padding: Size) -> tuple[int, ...]:
    """Shape of a pooling's output."""
    kernel, steps = pair("kernel_size", kernel_size), pair("stride", kernel_size if stride is None else stride)
    around = pair("padding", padding, least=0)
    padded = (x.shape[2] + 2 * around[0], x.shape[3] + 2 * around[1])
    return (*x.shape[:2], *window_count(padded, kernel, steps, (1, 1)))


def pad_image(x: Tensor, padding: Size, fill: float = 0.0) -> Tensor:
    """`fill` around the last two axes."""
    down, right = pair("padding", padding, least=0)
    return x.pad(((0, 0), (0, 0), (down, down), (right, right)), fill) if down or right else x


def pair(name: str, size: Size, least: int = 1) -> tuple[int, int]:
    """One number as two, checked."""
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2 or min(both) < least:
        raise ValueError(f"{name}={size} must be one or two whole numbers of at least {least}")
    return both
