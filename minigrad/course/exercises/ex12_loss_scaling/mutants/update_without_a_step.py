"""an update without a step before it is accepted"""

from typing import Any


class GradScaler:
    factor: float
    growth_factor: float
    backoff_factor: float
    growth_interval: int
    good_steps: int
    finite: Any

    def update(self) -> None:
        if not self.finite:
            if self.finite is not None:
                self.factor *= self.backoff_factor
            self.good_steps = 0
        else:
            self.good_steps += 1
            if self.good_steps == self.growth_interval:
                self.factor *= self.growth_factor
                self.good_steps = 0
        self.finite = None
