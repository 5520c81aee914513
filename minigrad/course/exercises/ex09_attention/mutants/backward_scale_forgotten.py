"""the backward forgets sqrt(hd): the scores were divided by it, and so is their gradient"""

from typing import Any

import numpy as np

from minigrad.kernels.cpu import softmax_backward


def attention_backward(grad: Any, query: Any, key: Any, value: Any, probabilities: Any) -> Any:
    dvalue = np.swapaxes(probabilities, -1, -2) @ grad
    dscores = softmax_backward(grad @ np.swapaxes(value, -1, -2), probabilities)
    return dscores @ key, np.swapaxes(dscores, -1, -2) @ query, dvalue
