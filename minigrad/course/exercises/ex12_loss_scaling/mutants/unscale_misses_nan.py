"""NaN passes: neither infinite nor NaN is what finite means"""

from typing import Any

import numpy as np


class GradScaler:
    factor: float
    finite: Any

    def unscale_gradients(self, parameters: Any) -> bool:
        if self.finite is not None:
            raise RuntimeError("gradients were already unscaled since the last update()")
        gradients = [parameter.grad.data for parameter in parameters if parameter.grad is not None]
        for gradient in gradients:
            gradient /= self.factor
        self.finite = all(not np.isinf(gradient).any() for gradient in gradients)
        return bool(self.finite)
