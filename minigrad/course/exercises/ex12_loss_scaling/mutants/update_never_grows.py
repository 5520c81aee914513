"""the factor never grows again"""

from typing import Any


class GradScaler:
    factor: float
    backoff_factor: float
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
        self.finite = None
