"""every block is divided by its own sum, so that a row adds up to the number of its blocks"""

from typing import Any

import numpy as np

from minigrad.kernels.online_softmax import column_blocks


def online_softmax_forward(x: Any, block: int) -> Any:
    y = np.empty(x.shape, x.dtype)
    for part in list(column_blocks(x.shape[1], block)) * 2:  # both walks
        own = x[:, part]
        exponentials = np.exp(own - own.max(axis=1, keepdims=True))
        y[:, part] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return y
