"""the numbers are right, but the caller's peak and total are written to: return arrays of your own"""

from typing import Any

import numpy as np


def join_block(peak: Any, total: Any, block: Any) -> Any:
    new = np.maximum(peak, block.max(axis=1, keepdims=True))
    shift = np.where(np.isneginf(new), 0.0, new).astype(block.dtype)
    total *= np.exp(peak - shift)
    total += np.exp(block - shift).sum(axis=1, keepdims=True)
    peak[...] = new
    return peak, total
