"""the peak is that of the newest block: a larger entry before it is forgotten"""

from typing import Any

import numpy as np


def join_block(peak: Any, total: Any, block: Any) -> Any:
    new = block.max(axis=1, keepdims=True)
    shift = np.where(np.isneginf(new), 0.0, new).astype(block.dtype)
    with np.errstate(over="ignore"):
        return new, total * np.exp(peak - shift) + np.exp(block - shift).sum(axis=1, keepdims=True)
