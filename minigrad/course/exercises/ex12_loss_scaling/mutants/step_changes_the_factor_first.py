"""the factor is changed before the gradients are divided by it: they were multiplied by the old one"""

from typing import Any

import numpy as np


class GradScaler:
    factor: float
    backoff_factor: float
    finite: Any
    unscale_: Any

    def step(self, optimizer: Any) -> bool:
        if self.finite is None:
            arrays = [parameter.grad.data for parameter in optimizer.params if parameter.grad is not None]
            if not all(np.isfinite(array).all() for array in arrays):
                self.factor *= self.backoff_factor
            self.unscale_(optimizer)
        if self.finite:
            optimizer.step()
        return bool(self.finite)
