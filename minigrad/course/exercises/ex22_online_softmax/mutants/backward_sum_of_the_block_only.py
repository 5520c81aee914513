"""the sum of grad y is that of the block alone: every output depends on every input of the whole row"""

from typing import Any

import numpy as np

from minigrad.kernels.online_softmax import column_blocks


def online_softmax_backward(grad: Any, y: Any, block: int) -> Any:
    dx = np.empty(y.shape, y.dtype)
    for part in list(column_blocks(y.shape[1], block)) * 2:  # both walks
        own, g = y[:, part], grad[:, part]
        dx[:, part] = (g - (g * own).sum(axis=1, keepdims=True)) * own
    return dx
