"""Handwritten digits: 1,797 pictures of 8 x 8 pixels, which come with scikit-learn and need no download.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (its test part).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.device import Array

CLASSES = 10


@dataclass(frozen=True)
class LabelledData:
    """Inputs with a class each, parted into training and validation.

    Attributes:
        inputs, targets: (N, ...) float32 and (N,) int64, to train on.
        validation_inputs, validation_targets: the same, never trained on.
    """

    inputs: Array
    targets: Array
    validation_inputs: Array
    validation_targets: Array

    def __len__(self) -> int:
        """Number of training examples."""
        return len(self.inputs)

    def batch(self, indices: Array) -> tuple[Array, Array]:
        """Inputs and targets of the training examples with these numbers."""
        return self.inputs[indices], self.targets[indices]

    def validation_batch(self, size: int) -> tuple[Array, Array]:
        """The first `size` validation examples, or all."""
        return self.validation_inputs[:size], self.validation_targets[:size]


def load_digits(flat: bool = True, seed: int = 0) -> LabelledData:
    """The digits, shuffled once, with the last fifth for validation.

    Args:
        flat: rows of 64 pixels, for an MLP; otherwise (1, 8, 8), for convolutions.
        seed: of the shuffling.

    Returns:
        1,438 examples for training and 359 for validation, pixels from 0 to 1.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed, with the command that installs it.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise ModuleNotFoundError("the digits need scikit-learn: pip install scikit-learn") from None
    pixels, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(pixels))
    inputs = (pixels[order] / 16.0).astype(np.float32).reshape((-1, 64) if flat else (-1, 1, 8, 8))
    targets = labels[order].astype(np.int64)
    cut = len(inputs) - len(inputs) // 5
    return LabelledData(inputs[:cut], targets[:cut], inputs[cut:], targets[cut:])
