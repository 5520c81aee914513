"""the masks are applied after the softmax: hidden keys have had their say, and a row no longer sums to 1"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import softmax_forward


def attention_forward(query: Any, key: Any, value: Any, causal: bool, mask: Any = None) -> Any:
    scores = query @ np.swapaxes(key, -1, -2)
    scores = scores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    probabilities = softmax_forward(scores)
    if mask is not None:
        probabilities = probabilities * np.exp(mask)
    if causal:
        probabilities = np.tril(probabilities)
    return probabilities @ value, probabilities
