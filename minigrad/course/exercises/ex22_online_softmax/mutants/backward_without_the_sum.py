"""only the diagonal: the sum of grad y over the row is not subtracted"""

from typing import Any

import numpy as np

from minigrad.kernels.online_softmax import column_blocks


def online_softmax_backward(grad: Any, y: Any, block: int) -> Any:
    dx = np.empty(y.shape, y.dtype)
    for part in column_blocks(y.shape[1], block):
        dx[:, part] = grad[:, part] * y[:, part]
    return dx
