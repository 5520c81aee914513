"""only the diagonal of the softmax's Jacobian: a key's weight also falls when another's rises"""

from typing import Any

import numpy as np


def attention_backward(grad: Any, query: Any, key: Any, value: Any, probabilities: Any) -> Any:
    dvalue = np.swapaxes(probabilities, -1, -2) @ grad
    dscores = (grad @ np.swapaxes(value, -1, -2)) * probabilities * (1 - probabilities)
    dscores = dscores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    return dscores @ key, np.swapaxes(dscores, -1, -2) @ query, dvalue
