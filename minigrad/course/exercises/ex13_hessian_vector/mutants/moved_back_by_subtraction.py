"""the displacement is subtracted again: (x + d) - d has other bits than x"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.curvature.products import unflatten


@contextmanager
def moved(parameters: Any, displacement: Any) -> Iterator[None]:
    for parameter, piece in zip(parameters, unflatten(displacement, parameters), strict=True):
        parameter.data = parameter.data + piece
    try:
        yield
    finally:
        for parameter, piece in zip(parameters, unflatten(displacement, parameters), strict=True):
            parameter.data = parameter.data - piece
