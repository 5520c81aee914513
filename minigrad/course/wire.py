"""What may pass between the checker and a student's process: plain values as one line of JSON.

Pickle would let whoever writes a message run code in whoever reads it. So only numbers, text, containers and
NumPy arrays of numbers travel; anything else arrives as a `Stranger`, which equals nothing.

This file is read by both sides, and the student's side may not import minigrad from here: it needs NumPy alone.
"""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

import numpy as np

NUMBERS = "biufc"  # NumPy's kinds of dtype that hold numbers
LONGEST_TEXT = 2000


class Stranger(NamedTuple):
    """A value that does not travel: only its type's name and how it looks arrive."""

    type_name: str
    text: str


def to_line(value: Any) -> bytes:
    """`value` as one line, the newline included.

    >>> from_line(to_line({"x": (1, np.arange(2.0))}))
    {'x': (1, array([0., 1.]))}
    """
    return json.dumps(_plain(value)).encode() + b"\n"


def from_line(line: bytes) -> Any:
    """The value of a line; a ValueError if it is none."""
    try:
        return _value(json.loads(line))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {line[:80]!r}") from error


def _plain(value: Any) -> Any:
    # By exact type: a subclass may pretend to equal everything.
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [_plain(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if type(value) is np.ndarray and value.dtype.kind in NUMBERS:
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": [value.dtype.str, list(value.shape), data]}
    if isinstance(value, np.generic) and value.dtype.kind in NUMBERS:
        return {"scalar": [value.dtype.str, base64.b64encode(value.tobytes()).decode()]}
    return {"stranger": [type(value).__name__, _look(value)]}


def _look(value: Any) -> str:
    try:
        return repr(value)[:LONGEST_TEXT]
    except Exception as error:
        return f"<its repr raised {type(error).__name__}>"


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    if kind == "tuple":
        return tuple(_value(item) for item in content)
    if kind == "dict":
        return {_value(key): _value(item) for key, item in content}
    if kind == "array":
        dtype, shape, data = content
        return np.frombuffer(base64.b64decode(data), _number_type(dtype)).reshape(shape).copy()
    if kind == "scalar":
        dtype, data = content
        return np.frombuffer(base64.b64decode(data), _number_type(dtype))[0]
    type_name, text = content
    return Stranger(str(type_name), str(text))


def _number_type(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.kind not in NUMBERS:
        raise ValueError(f"dtype {name!r} does not travel")
    return dtype
