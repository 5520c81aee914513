"""the mask is added before the scores are divided by sqrt(hd), so that a finite one is divided too"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import causal_mask, softmax_forward


def attention_forward(query: Any, key: Any, value: Any, causal: bool, mask: Any = None) -> Any:
    scores = query @ np.swapaxes(key, -1, -2)
    if mask is not None:
        scores = scores + mask
    if causal:
        scores = scores + causal_mask(scores.shape[-2], scores.shape[-1], scores.dtype)
    scores = scores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    probabilities = softmax_forward(scores)
    return probabilities @ value, probabilities
