"""Curvature of a loss: the Hessian as an operator, its eigenvalues, its trace, and the sharpness of a net.

A net of n parameters has a Hessian of n x n numbers, which nobody stores. Everything here needs only its product
with a vector, and that costs about two gradients. `python -m minigrad.curvature DIR` draws the pictures of
docs/curvature.md.

>>> import numpy as np
>>> import minigrad as mg
>>> x = mg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
>>> hessian = Hessian(lambda: (x ** 3).sum(), [x])  # its matrix is diag(6 x)
>>> hessian @ np.array([1.0, 1.0])
array([ 6., 12.])
>>> round(top_eigenvalue(hessian, np.random.default_rng(0)).value, 9)
12.0
"""

from minigrad.curvature.products import (
    Hessian,
    difference_errors,
    difference_product,
    hessian_vector_product,
)
from minigrad.curvature.sharpness import (
    DescentRecord,
    gradient_descent,
    sharpness,
    small_regression,
)
from minigrad.curvature.spectrum import (
    Eigenpair,
    SpectralDensity,
    Tridiagonal,
    lanczos,
    power_iteration,
    spectral_density,
    top_eigenvalue,
)
from minigrad.curvature.trace import TraceEstimate, hutchinson_trace

__all__ = [
    "DescentRecord",
    "Eigenpair",
    "Hessian",
    "SpectralDensity",
    "TraceEstimate",
    "Tridiagonal",
    "difference_errors",
    "difference_product",
    "gradient_descent",
    "hessian_vector_product",
    "hutchinson_trace",
    "lanczos",
    "power_iteration",
    "sharpness",
    "small_regression",
    "spectral_density",
    "top_eigenvalue",
]
