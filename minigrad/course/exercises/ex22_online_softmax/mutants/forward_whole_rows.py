"""the numbers are right, but whole rows are read at a time: go through column_blocks"""

from typing import Any

import numpy as np


def online_softmax_forward(x: Any, block: int) -> Any:
    y = np.exp(x - x.max(axis=1, keepdims=True))
    return y / y.sum(axis=1, keepdims=True)
