"""the mask hides what came before and shows what comes: it is the wrong triangle"""

from typing import Any

import numpy as np


def causal_mask(queries: int, keys: int, dtype: Any, first: int = 0) -> Any:
    hidden = np.tril(np.ones((queries, keys), dtype=bool), k=first - 1)
    return np.where(hidden, -np.inf, 0.0).astype(dtype)
