"""the new entries are measured from the old peak, and the sum so far from the new one"""

from typing import Any

import numpy as np


def join_block(peak: Any, total: Any, block: Any) -> Any:
    new = np.maximum(peak, block.max(axis=1, keepdims=True))
    shift = np.where(np.isneginf(new), 0.0, new).astype(block.dtype)
    old = np.where(np.isneginf(peak), shift, peak).astype(block.dtype)
    with np.errstate(over="ignore"):
        return new, total * np.exp(peak - shift) + np.exp(block - old).sum(axis=1, keepdims=True)
