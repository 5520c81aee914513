"""the mask is off by one: a query does not see its own position, and the first sees nothing at all"""

from typing import Any

import numpy as np


def causal_mask(queries: int, keys: int, dtype: Any, first: int = 0) -> Any:
    hidden = np.triu(np.ones((queries, keys), dtype=bool), k=first)
    return np.where(hidden, -np.inf, 0.0).astype(dtype)
