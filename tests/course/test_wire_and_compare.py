"""What travels between the processes, and when two answers are called different."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.course.compare import difference
from minigrad.course.wire import Stranger, from_line, to_line

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_plain_values_arrive_as_they_were(value: Any) -> None:
    line = to_line(value)
    assert line.count(b"\n") == 1
    assert from_line(line) == value
    assert difference(from_line(line), value) is None


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool", "complex128", ">f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 1), (2, 3)])
def test_arrays_arrive_with_shape_and_dtype(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    found = from_line(to_line(array))
    assert found.shape == shape
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


class EqualsEverything(float):
    """What a cheat may return."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


class ArrayInDisguise(np.ndarray[Any, Any]):
    """A subclass may override whatever the comparison calls."""


@pytest.mark.parametrize(
    "value",
    [
        EqualsEverything(1.0),
        object(),
        np.array([object()], dtype=object),
        np.zeros(2).view(ArrayInDisguise),
        {1, 2},
        len,
    ],
)
def test_what_is_not_plain_arrives_as_a_stranger_that_equals_nothing(value: Any) -> None:
    found = from_line(to_line({"x": value}))["x"]
    assert isinstance(found, Stranger)
    for expected in (1.0, np.zeros(2), None, [], "x"):
        assert difference(found, expected) is not None


@pytest.mark.parametrize(
    "line", [b"", b"passed\n", b'{"array": ["|O", [1], ""]}\n', b'{"a": 1, "b": 2}\n', b"[" * 5000, b"\xff"]
)
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        from_line(line)


@pytest.mark.parametrize(
    ("got", "expected", "place"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-8]), "x[1]"),
        (np.array([np.nan, 2.0]), np.array([1.0, 2.0]), "x[0]"),
        (np.array([1.0, 2.0]), np.array([np.nan, 2.0]), "x[0]"),
        (np.array([np.inf]), np.array([-np.inf]), "x[0]"),
        (np.zeros((2, 1)), np.zeros(2), "x"),
        (np.zeros(2, np.float32), np.zeros(2), "x"),
        (np.zeros(0), np.zeros((0, 1)), "x"),
        (np.array([1, 2]), np.array([1, 3]), "x[1]"),
        (True, 1.0, "x"),
        (None, 0.0, "x"),
        ([1.0], (1.0,), "x"),
        ([1.0], [1.0, 2.0], "x"),
        ({"a": 1.0}, {"b": 1.0}, "x"),
        ({"a": [0.0, 5.0]}, {"a": [0.0, 4.0]}, "x.a[1]"),
        ("a", "b", "x"),
        (float("nan"), 1.0, "x"),
    ],
)
def test_differences_are_found_where_they_are(got: Any, expected: Any, place: str) -> None:
    found = difference(got, expected, "x")
    assert found is not None
    assert found.place == place
    assert found.got != found.expected


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-13])),
        (np.array([np.nan]), np.array([np.nan])),
        (np.array([1e-300, 1.0]), np.array([0.0, 1.0])),
        (np.float64(1.0), 1.0),
        (1, 1.0),
        ((1.0, [None, "a"]), (1.0, [None, "a"])),
        (np.zeros((0, 3)), np.zeros((0, 3))),
    ],
)
def test_rounding_is_no_difference(got: Any, expected: Any) -> None:
    assert difference(got, expected) is None
