"""the root is missing: this is the square of the norm"""

from typing import Any

import numpy as np

from minigrad.optim.clipping import gradients_of


def get_total_norm(parameters: Any) -> Any:
    norms = [float(np.linalg.norm(gradient)) for gradient in gradients_of(parameters)]
    return float(np.sum(np.square(norms)))
