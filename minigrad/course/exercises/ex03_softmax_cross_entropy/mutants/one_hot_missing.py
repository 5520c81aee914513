"""softmax(logits) without the 1 that is subtracted at the target"""

from typing import Any

import numpy as np


def cross_entropy_backward(grad: Any, logits: Any, targets: Any, log_sum: Any) -> Any:
    return np.exp(logits - log_sum[:, None]) * grad[:, None]
