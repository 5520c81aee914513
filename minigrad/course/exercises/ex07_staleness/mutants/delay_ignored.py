"""the delay is ignored: w[t] is used in the place of w[t-tau]"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parallel.studies.staleness.arguments import as_delays, as_finite
from parallel.studies.staleness.recursion import LIMIT


def iterate(tau: Any, step: Any, start: float = 1.0) -> Iterator[Any]:
    tau, step = np.broadcast_arrays(as_delays(tau), as_finite("step", step))
    w = np.full(step.shape, float(start))
    while True:
        yield w.copy()
        w = np.where(np.abs(w) < LIMIT, np.clip(w - step * w, -LIMIT, LIMIT), w)
