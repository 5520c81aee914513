"""the gradients are divided although unscale_ was called before: self.finite says so"""

from typing import Any


class GradScaler:
    finite: Any
    unscale_: Any

    def step(self, optimizer: Any) -> bool:
        self.unscale_(optimizer)
        if self.finite:
            optimizer.step()
        return bool(self.finite)
