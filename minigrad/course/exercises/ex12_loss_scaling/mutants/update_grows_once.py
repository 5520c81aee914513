"""the count does not start again after a growth, and never meets growth_interval a second time"""

from typing import Any


class GradScaler:
    factor: float
    growth_factor: float
    backoff_factor: float
    growth_interval: int
    good_steps: int
    finite: Any

    def update(self) -> None:
        if self.finite is None:
            raise RuntimeError("update() needs a step() or unscale_() before it")
        if not self.finite:
            self.factor *= self.backoff_factor
            self.good_steps = 0
        else:
            self.good_steps += 1
            if self.good_steps == self.growth_interval:
                self.factor *= self.growth_factor
        self.finite = None
