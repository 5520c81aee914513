"""How stale may a gradient be? The quadratic model of asynchronous SGD.

The smallest model that shows the effect has one weight and the loss a w^2 / 2. Its gradient a w is used
tau updates after it was read:

    w[t+1] = w[t] - eta a w[t-tau]

Only the product of rate and curvature matters, so it is one number here: step = eta a. A fresh gradient
(tau = 0) bears any step below 2. A stale one bears much less: below `critical_step(tau)` the weight goes to
zero, above it the weight swings ever wider. The theory stands in docs/staleness.md; this file computes it,
measures it in two independent ways, and maps the plane (tau, step).
"""

from parallel.studies.staleness.boundary import (
    HALVINGS,
    Boundary,
    measured_boundary,
    measured_boundary_by_running,
    stability_boundary,
)
from parallel.studies.staleness.map import StabilityMap, sweep
from parallel.studies.staleness.recursion import LIMIT, iterate, simulate_quadratic
from parallel.studies.staleness.theory import (
    characteristic_polynomial,
    critical_step,
    fastest_step,
    spectral_radius,
)

__all__ = [
    "HALVINGS",
    "LIMIT",
    "Boundary",
    "StabilityMap",
    "characteristic_polynomial",
    "critical_step",
    "fastest_step",
    "iterate",
    "measured_boundary",
    "measured_boundary_by_running",
    "simulate_quadratic",
    "spectral_radius",
    "stability_boundary",
    "sweep",
]
