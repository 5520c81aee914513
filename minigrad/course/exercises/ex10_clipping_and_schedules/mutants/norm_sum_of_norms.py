"""the norms of the parameters are added up: it is their squares that add up, and the root comes last"""

from typing import Any

import numpy as np

from minigrad.optim.clipping import gradients_of


def get_total_norm(parameters: Any) -> Any:
    norms = [float(np.linalg.norm(gradient)) for gradient in gradients_of(parameters)]
    return float(np.sum(norms))
