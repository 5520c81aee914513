"""The trace of an operator that is known by its products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.curvature.spectrum import Operator, checked_size


@dataclass(frozen=True)
class TraceEstimate:
    """An estimate with its uncertainty.

    Attributes:
        value: mean over the probes.
        standard_error: of that mean; the truth lies within two of them about 95 times in 100.
        probes: how many random vectors were used.
    """

    value: float
    standard_error: float
    probes: int


def hutchinson_trace(operator: Operator, rng: np.random.Generator, probes: int = 100) -> TraceEstimate:
    """Trace by random signs: the mean of <z, A z> over vectors z of independent +1 and -1.

    E[z_i z_j] is 1 for i = j and 0 otherwise, so E <z, A z> = sum_i A_ii. The diagonal enters each probe exactly,
    since z_i^2 = 1; only the other entries make noise, with variance 2 sum_{i != j} A_ij^2 for a symmetric A.

    Args:
        operator: symmetric, (n, n).
        rng: source of the signs.
        probes: at least 2, for a standard error.

    Returns:
        The estimate; its error falls with the root of the probes.

    Raises:
        ValueError: fewer than two probes.

    Cost: one product a probe.

    Source: Hutchinson, A stochastic estimator of the trace of the influence matrix, 1989.

    >>> estimate = hutchinson_trace(np.diag([1.0, 2.0, 3.0]), np.random.default_rng(0), probes=2)
    >>> estimate.value, estimate.standard_error
    (6.0, 0.0)
    """
    size = checked_size(operator, probes, "probes")
    if probes < 2:
        raise ValueError(f"probes={probes} must be at least 2: one value has no spread")
    signs = (rng.choice([-1.0, 1.0], size) for _ in range(probes))
    values = np.array([z @ (operator @ z) for z in signs])
    return TraceEstimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(probes)), probes)
