"""the exponentials are not divided by their sum"""

from typing import Any

import numpy as np

from minigrad.kernels.online_softmax import column_blocks, join_block


def online_softmax_forward(x: Any, block: int) -> Any:
    peak, total = np.full((len(x), 1), -np.inf, x.dtype), np.zeros((len(x), 1), x.dtype)
    for part in column_blocks(x.shape[1], block):
        peak, total = join_block(peak, total, x[:, part])
    y = np.empty(x.shape, x.dtype)
    for part in column_blocks(x.shape[1], block):
        y[:, part] = np.exp(x[:, part] - peak)
    return y
