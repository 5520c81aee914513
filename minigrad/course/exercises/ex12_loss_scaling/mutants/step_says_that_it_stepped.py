"""True is returned even if the step was left out"""

from typing import Any


class GradScaler:
    finite: Any
    unscale_: Any

    def step(self, optimizer: Any) -> bool:
        if self.finite is None:
            self.unscale_(optimizer)
        if self.finite:
            optimizer.step()
        return True
