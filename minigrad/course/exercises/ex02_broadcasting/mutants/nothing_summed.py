"""the gradient comes back as it was, of the shape after broadcasting"""

from typing import Any


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    return grad
