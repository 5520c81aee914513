"""the division stops at the first gradient that is not finite: those after it stay multiplied"""

from typing import Any

import numpy as np


class GradScaler:
    factor: float
    finite: Any

    def unscale_gradients(self, parameters: Any) -> bool:
        if self.finite is not None:
            raise RuntimeError("gradients were already unscaled since the last update()")
        gradients = [parameter.grad.data for parameter in parameters if parameter.grad is not None]
        self.finite = True
        for gradient in gradients:
            gradient /= self.factor
            if not np.isfinite(gradient).all():
                self.finite = False
                break
        return bool(self.finite)
