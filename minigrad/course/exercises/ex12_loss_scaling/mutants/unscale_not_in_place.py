"""the gradients are not divided, or not in place: the optimizer still sees those times the factor"""

from typing import Any

import numpy as np


class GradScaler:
    factor: float
    finite: Any

    def unscale_gradients(self, parameters: Any) -> bool:
        if self.finite is not None:
            raise RuntimeError("gradients were already unscaled since the last update()")
        gradients = [parameter.grad.data for parameter in parameters if parameter.grad is not None]
        gradients = [gradient / self.factor for gradient in gradients]
        self.finite = all(bool(np.isfinite(gradient).all()) for gradient in gradients)
        return bool(self.finite)
