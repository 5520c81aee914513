"""the displacement is subtracted, where it is to be added"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.curvature.products import unflatten


@contextmanager
def moved(parameters: Any, displacement: Any) -> Iterator[None]:
    before = [parameter.data for parameter in parameters]
    try:
        for parameter, piece in zip(parameters, unflatten(displacement, parameters), strict=True):
            parameter.data = parameter.data - piece
        yield
    finally:
        for parameter, data in zip(parameters, before, strict=True):
            parameter.data = data
