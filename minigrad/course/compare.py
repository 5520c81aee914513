"""Where two answers differ most, in words."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad.course.wire import Stranger

# Relative to the largest magnitude expected. A right formula in another order of operations is off by some 1e-15,
# the smallest known mistake (eps within the root) by 1e-8; float32 carries 7 digits.
TOLERANCE = {8: 1e-10, 4: 1e-5, 2: 1e-2}


class Difference(NamedTuple):
    """The worst place: its name, and what was there against what should have been."""

    place: str
    got: str
    expected: str
    at: tuple[int, ...] | None = None  # the index, where the place is one of an array


def difference(got: Any, expected: Any, place: str = "") -> Difference | None:
    """The worst difference between two trees of plain values, or None if they agree.

    Args:
        got: what student code returned.
        expected: the same of the reference.
        place: the name of this part of the tree, for the report.
    """
    if isinstance(expected, dict) and isinstance(got, dict) and set(got) == set(expected):
        return _worst(difference(got[key], expected[key], f"{place}.{key}" if place else str(key)) for key in expected)
    if isinstance(expected, list | tuple) and type(got) is type(expected) and len(got) == len(expected):
        return _worst(
            difference(*pair, f"{place}[{index}]") for index, pair in enumerate(zip(got, expected, strict=True))
        )
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray):
        return _array_difference(got, expected, place)
    if isinstance(expected, int | float | np.number) and isinstance(got, int | float | np.number):
        same = isinstance(got, bool) == isinstance(expected, bool)
        if same and _array_difference(np.array(got, float), np.array(expected, float), place) is None:
            return None
        if same:
            return Difference(place, number(got), number(expected), ())
    elif type(got) is type(expected) and not isinstance(expected, dict | list | tuple) and got == expected:
        return None
    return Difference(place, describe(got), describe(expected))


def _worst(found: Any) -> Difference | None:
    return next((one for one in found if one is not None), None)


def _array_difference(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], place: str) -> Difference | None:
    if got.shape != expected.shape:
        return Difference(place, f"an array of shape {got.shape}", f"shape {expected.shape}")
    if got.dtype != expected.dtype:
        return Difference(place, f"an array of dtype {got.dtype}", f"dtype {expected.dtype}")
    if got.size == 0:
        return None
    a, b = got.astype(np.complex128), expected.astype(np.complex128)
    finite = np.isfinite(b)
    scale = max(1e-30, float(np.abs(np.where(finite, b, 0)).max()))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(a - b)
    error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.where(np.isnan(error), np.inf, error))
    exact = expected.dtype.kind in "biu"
    allowed = 0.0 if exact else TOLERANCE[_precision(expected.dtype)] * scale
    if error.max() <= allowed:
        return None
    index = tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape))
    where = f"{place}[{', '.join(map(str, index))}]" if index else place
    shown = number(got[index]), number(expected[index])
    if shown[0] == shown[1]:  # they differ in a later digit
        shown = repr(got[index].item()), repr(expected[index].item())
    return Difference(where, *shown, index)


def _precision(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize // (2 if dtype.kind == "c" else 1)


def number(value: Any) -> str:
    """A number to eight digits."""
    return f"{value:.8g}" if isinstance(value, float | np.floating) else str(value)


def describe(value: Any) -> str:
    """A value in a line: short ones as they are, arrays by shape, what does not travel by its type."""
    if isinstance(value, Stranger):
        return f"{value.text} of type {value.type_name}" if len(value.text) < 60 else f"a {value.type_name}"
    if isinstance(value, np.ndarray):
        if value.size <= 6:
            return np.array2string(value, precision=6, separator=", ").replace("\n", "")
        return f"an array of shape {value.shape}"
    if isinstance(value, list | tuple) and len(value) > 8:
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, list | tuple):
        inner = ", ".join(describe(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {describe(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return value
    return number(value) if isinstance(value, float) else repr(value)
