"""the largest of the parameters' norms instead of the norm of all together"""

from typing import Any

import numpy as np

from minigrad.optim.clipping import gradients_of


def get_total_norm(parameters: Any) -> Any:
    norms = [float(np.linalg.norm(gradient)) for gradient in gradients_of(parameters)]
    return max(norms, default=0.0)
