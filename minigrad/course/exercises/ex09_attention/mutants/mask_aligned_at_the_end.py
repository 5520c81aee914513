"""the last query is put at the last key whatever `first` says"""

from typing import Any

import numpy as np


def causal_mask(queries: int, keys: int, dtype: Any, first: int = 0) -> Any:
    hidden = np.triu(np.ones((queries, keys), dtype=bool), k=1 + keys - queries)
    return np.where(hidden, -np.inf, 0.0).astype(dtype)
