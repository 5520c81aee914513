"""Numbers that belong to a formula and not to a device: kernels of every device and `ops/` import them from here."""

import math

SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)

CUBIC = 0.044715
"""The coefficient of x^3 in gelu's tanh form, fitted by Hendrycks and Gimpel."""
