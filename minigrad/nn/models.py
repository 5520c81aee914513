"""Small models: a multi-layer perceptron and a convolutional network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from minigrad.nn.convolutional import Conv2d, Flatten, MaxPool2d
from minigrad.nn.layers import GELU, Linear, ReLU, Sequential
from minigrad.nn.module import Module


class MLP(Sequential):
    """Linear layers with an activation between each two.

    Args:
        sizes: widths from input to output, at least two.
        activation: a module put between the layers; GELU by default.
        rng: source of the initial values.
        dtype: of the parameters.

    >>> sum(p.numel() for p in MLP([2, 16, 1]).parameters())
    65
    """

    def __init__(
        self,
        sizes: list[int],
        activation: Module | None = None,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"sizes={sizes} needs at least an input and an output width")
        rng = rng or np.random.default_rng()
        layers: list[Module] = []
        for position, (inputs, outputs) in enumerate(pairwise(sizes)):
            if position:
                layers.append(activation or GELU())
            layers.append(Linear(inputs, outputs, rng=rng, dtype=dtype))
        super().__init__(*layers)


class LeNet(Sequential):
    """Two convolutions with pooling, then two linear layers: a network in the manner of LeNet-5, for small images.

    Args:
        size: height and width of the images, divisible by 4.
        channels: of the images.
        classes: number of outputs.
        rng: source of the initial values.
        dtype: of the parameters.

    Shapes: (B, channels, size, size) to (B, classes).

    Source: LeCun and others, Gradient-Based Learning Applied to Document Recognition, 1998.
    Differs: filters of 3 with padding, relu, maximum pooling, no connection table: today's usual form.

    >>> import minigrad as mg
    >>> LeNet(8)(mg.Tensor(np.zeros((5, 1, 8, 8), np.float32))).shape
    (5, 10)
    """

    def __init__(
        self,
        size: int = 8,
        channels: int = 1,
        classes: int = 10,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if size < 4 or size % 4:
            raise ValueError(f"size={size} must be divisible by 4: two poolings halve it twice")
        rng = rng or np.random.default_rng()
        super().__init__(
            Conv2d(channels, 16, 3, padding=1, rng=rng, dtype=dtype),
            ReLU(),
            MaxPool2d(2),
            Conv2d(16, 32, 3, padding=1, rng=rng, dtype=dtype),
            ReLU(),
            MaxPool2d(2),
            Flatten(),
            Linear(32 * (size // 4) ** 2, 64, rng=rng, dtype=dtype),
            ReLU(),
            Linear(64, classes, rng=rng, dtype=dtype),
        )
