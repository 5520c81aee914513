"""the gradients are not divided before the step: self.finite is None as long as they are not"""

from typing import Any


class GradScaler:
    finite: Any

    def step(self, optimizer: Any) -> bool:
        if self.finite is None:
            self.finite = True
        if self.finite:
            optimizer.step()
        return bool(self.finite)
