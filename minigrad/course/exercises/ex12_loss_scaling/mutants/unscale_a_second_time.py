"""a second division in one step is accepted: it must be refused, the gradients would be too small by the factor"""

from typing import Any

import numpy as np


class GradScaler:
    factor: float
    finite: Any

    def unscale_gradients(self, parameters: Any) -> bool:
        gradients = [parameter.grad.data for parameter in parameters if parameter.grad is not None]
        for gradient in gradients:
            gradient /= self.factor
        self.finite = all(bool(np.isfinite(gradient).all()) for gradient in gradients)
        return bool(self.finite)
