"""step chooses the next factor by itself: that is for update(), which now finds no step before it"""

from typing import Any


class GradScaler:
    finite: Any
    unscale_: Any
    update: Any

    def step(self, optimizer: Any) -> bool:
        if self.finite is None:
            self.unscale_(optimizer)
        if self.finite:
            optimizer.step()
        stepped = bool(self.finite)
        self.update()
        return stepped
