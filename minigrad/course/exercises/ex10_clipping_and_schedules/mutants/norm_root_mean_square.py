"""the mean of the squares instead of their sum: a larger model would be clipped less"""

from typing import Any

import numpy as np

from minigrad.optim.clipping import gradients_of


def get_total_norm(parameters: Any) -> Any:
    numbers = [gradient.reshape(-1) for gradient in gradients_of(parameters)]
    return float(np.sqrt(np.mean(np.concatenate(numbers) ** 2))) if numbers else 0.0
