"""the gradient of the scores is not transposed for the keys: column s holds what key s gets"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import softmax_backward


def attention_backward(grad: Any, query: Any, key: Any, value: Any, probabilities: Any) -> Any:
    dvalue = np.swapaxes(probabilities, -1, -2) @ grad
    dscores = softmax_backward(grad @ np.swapaxes(value, -1, -2), probabilities)
    dscores = dscores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    return dscores @ key, dscores @ query, dvalue
