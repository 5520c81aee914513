"""the parameters come back only if the block does not raise: put it into try and finally"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.curvature.products import unflatten


@contextmanager
def moved(parameters: Any, displacement: Any) -> Iterator[None]:
    before = [parameter.data for parameter in parameters]
    for parameter, piece in zip(parameters, unflatten(displacement, parameters), strict=True):
        parameter.data = parameter.data + piece
    yield
    for parameter, data in zip(parameters, before, strict=True):
        parameter.data = data
