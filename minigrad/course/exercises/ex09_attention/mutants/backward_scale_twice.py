"""dquery and dkey are divided by hd: the product was divided by sqrt(hd) once, not each of its factors"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import softmax_backward


def attention_backward(grad: Any, query: Any, key: Any, value: Any, probabilities: Any) -> Any:
    dvalue = np.swapaxes(probabilities, -1, -2) @ grad
    dscores = softmax_backward(grad @ np.swapaxes(value, -1, -2), probabilities)
    dscores = dscores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    dscores = dscores / np.sqrt(np.asarray(query.shape[-1], query.dtype))
    return dscores @ key, np.swapaxes(dscores, -1, -2) @ query, dvalue
