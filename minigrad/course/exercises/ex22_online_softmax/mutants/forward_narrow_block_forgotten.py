"""the last block is left out of the sum when it is narrower than the others"""

from typing import Any

import numpy as np

from minigrad.kernels.online_softmax import column_blocks, join_block


def online_softmax_forward(x: Any, block: int) -> Any:
    peak, total = np.full((len(x), 1), -np.inf, x.dtype), np.zeros((len(x), 1), x.dtype)
    for number in range(x.shape[1] // block):
        peak, total = join_block(peak, total, x[:, number * block : (number + 1) * block])
    y = np.empty(x.shape, x.dtype)
    with np.errstate(divide="ignore", over="ignore"):
        for part in column_blocks(x.shape[1], block):
            y[:, part] = np.exp(x[:, part] - peak) / total
    return y
