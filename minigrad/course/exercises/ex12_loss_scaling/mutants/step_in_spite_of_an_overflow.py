"""the optimizer steps whatever the gradients are: with one that is not finite the step is to be left out"""

from typing import Any


class GradScaler:
    finite: Any
    unscale_: Any

    def step(self, optimizer: Any) -> bool:
        if self.finite is None:
            self.unscale_(optimizer)
        optimizer.step()
        return bool(self.finite)
