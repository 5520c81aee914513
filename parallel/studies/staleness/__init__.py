"""How stale may a gradient be? The quadratic model of asynchronous SGD.

The smallest model that shows the effect has one weight and the loss a w^2 / 2. Its gradient a w is used
tau updates after it was read:

    w[t+1] = w[t] - eta a w[t-tau]

Only the product of rate and curvature matters, so it is one number here: step = eta a. A fresh gradient
(tau = 0) bears any step below 2. A stale one bears much less: below `critical_step(tau)` the weight goes to
zero, above it the weight swings ever wider. The theory stands in docs/staleness.md.

    theory, variance, random_delay, bounds   what mathematics says
    recursion, boundary, map                 the recursion run and measured, for many delays and steps at once
    served                                   the boundary of the parameter server itself, in virtual time
    delays, replay, model_replay             any delays, any rule, any model, without a cluster
    remedies, implicit                       what helps; and the momentum that asynchrony brings by itself
    network                                  whether real models obey
    pictures, page                           all of it drawn
"""

from parallel.studies.staleness.boundary import (
    HALVINGS,
    Boundary,
    measured_boundary,
    measured_boundary_by_running,
    measured_boundary_with_momentum,
    stability_boundary,
)
from parallel.studies.staleness.bounds import asynchronous_bound, convex_bound, synchronous_bound
from parallel.studies.staleness.implicit import fit_momentum, implicit_momentum
from parallel.studies.staleness.map import StabilityMap, sweep
from parallel.studies.staleness.random_delay import mean_boundary, mean_square_boundary, typical_boundary
from parallel.studies.staleness.recursion import LIMIT, iterate, iterate_with_momentum, simulate_quadratic
from parallel.studies.staleness.served import served_boundary
from parallel.studies.staleness.theory import (
    characteristic_polynomial,
    companion_matrix,
    critical_step,
    fastest_rate,
    fastest_step,
    plain_critical_step,
    spectral_radius,
)
from parallel.studies.staleness.variance import stationary_covariance, stationary_variance

__all__ = [
    "HALVINGS",
    "LIMIT",
    "Boundary",
    "StabilityMap",
    "asynchronous_bound",
    "characteristic_polynomial",
    "companion_matrix",
    "convex_bound",
    "critical_step",
    "fastest_rate",
    "fastest_step",
    "fit_momentum",
    "implicit_momentum",
    "iterate",
    "iterate_with_momentum",
    "mean_boundary",
    "mean_square_boundary",
    "measured_boundary",
    "measured_boundary_by_running",
    "measured_boundary_with_momentum",
    "plain_critical_step",
    "served_boundary",
    "simulate_quadratic",
    "spectral_radius",
    "stability_boundary",
    "stationary_covariance",
    "stationary_variance",
    "sweep",
    "synchronous_bound",
    "typical_boundary",
]
