"""softmax_backward gets its two arguments in the wrong order"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import softmax_backward


def attention_backward(grad: Any, query: Any, key: Any, value: Any, probabilities: Any) -> Any:
    dvalue = np.swapaxes(probabilities, -1, -2) @ grad
    dscores = softmax_backward(probabilities, grad @ np.swapaxes(value, -1, -2))
    dscores = dscores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    return dscores @ key, np.swapaxes(dscores, -1, -2) @ query, dvalue
