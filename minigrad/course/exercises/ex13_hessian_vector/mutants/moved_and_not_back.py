"""the parameters stay displaced: they are not put back, or what was kept is the very array that was written to"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.curvature.products import unflatten


@contextmanager
def moved(parameters: Any, displacement: Any) -> Iterator[None]:
    for parameter, piece in zip(parameters, unflatten(displacement, parameters), strict=True):
        parameter.data = parameter.data + piece
    yield
