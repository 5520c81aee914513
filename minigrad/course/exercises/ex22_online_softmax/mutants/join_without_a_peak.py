"""nothing is subtracted before exp, which overflows for entries above 709 (88 in float32)"""

from typing import Any

import numpy as np


def join_block(peak: Any, total: Any, block: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.maximum(peak, block.max(axis=1, keepdims=True)), total + np.exp(block).sum(axis=1, keepdims=True)
