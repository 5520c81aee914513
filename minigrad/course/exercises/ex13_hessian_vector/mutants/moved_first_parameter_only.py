"""only the first parameter is displaced"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.curvature.products import unflatten


@contextmanager
def moved(parameters: Any, displacement: Any) -> Iterator[None]:
    before = [parameter.data for parameter in parameters]
    try:
        parameters[0].data = parameters[0].data + unflatten(displacement, parameters)[0]
        yield
    finally:
        for parameter, data in zip(parameters, before, strict=True):
            parameter.data = data
