"""the gradient is added: descent subtracts it"""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from parallel.studies.staleness.arguments import as_delays, as_finite
from parallel.studies.staleness.recursion import LIMIT


def iterate(tau: Any, step: Any, start: float = 1.0) -> Iterator[Any]:
    tau, step = np.broadcast_arrays(as_delays(tau), as_finite("step", step))
    depth = int(tau.max(initial=0)) + 1
    history = np.full((depth, *step.shape), float(start))
    cell = tuple(np.indices(step.shape, sparse=True))
    for t in count():
        w = history[t % depth]
        yield w.copy()
        updated = np.clip(w + step * history[((t - tau) % depth, *cell)], -LIMIT, LIMIT)
        history[(t + 1) % depth] = np.where(np.abs(w) < LIMIT, updated, w)
