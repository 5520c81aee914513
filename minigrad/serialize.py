"""Arrays to disk and back, in the safetensors format: no code is ever loaded from a file.

A safetensors file is eight bytes that give the length of a header, the header, and the numbers:

    8 bytes   n, little-endian
    n bytes   JSON: {"weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    the rest  the arrays one after the other, little-endian, in C order

A reader that trusts the header can be made to read what is not there. The one below believes nothing that it has
not checked: every array must have the bytes that its shape and dtype ask for, and together they must fill the file
without a gap or an overlap.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad.device import Array

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
    "BF16": "<u2",  # the upper half of a float32, which NumPy has no name for; widened when it is read
}  # fmt: skip
LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


class Entry(NamedTuple):
    """What the header says of one array."""

    name: str
    dtype: str  # as the format calls it: "F32"
    shape: tuple[int, ...]
    start: int  # bytes, counted from the end of the header
    stop: int


def save_arrays(path: str | Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays to a safetensors file; the old file stays whole until the new one is.

    Args:
        path: the file; its folder must exist.
        arrays: name to array.
        metadata: name to text, kept in the header.

    Raises:
        OSError: the file cannot be written. A file that was there before is then unchanged.
    """
    from safetensors.numpy import save

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_atomically(path, save(contiguous, dict(metadata) if metadata else None))


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that whoever looks, after a crash too, sees the old content or the new, and nothing else.

    The bytes go to a second file first, and onto the disk (fsync); then the name is moved over, which the operating
    system does in one piece.

    Raises:
        OSError: no room, no permission. A file that was there before is then unchanged.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def load_arrays(path: str | Path) -> dict[str, Array]:
    """Read a safetensors file.

    Returns:
        Name to array; bfloat16 ones as float32, which holds each of their values.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a whole safetensors file, or its header does not fit its contents.
    """
    content = Path(path).read_bytes()
    try:
        entries, _, begin = parse_header(content)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is not a whole safetensors file: {error}") from None
    return {entry.name: _array(content, begin, entry) for entry in entries}


def load_metadata(path: str | Path) -> dict[str, str]:
    """The texts that `save_arrays` was given.

    Raises:
        FileNotFoundError, ValueError: as `load_arrays`.
    """
    try:
        return parse_header(Path(path).read_bytes())[1]
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is not a whole safetensors file: {error}") from None


def parse_header(content: bytes) -> tuple[list[Entry], dict[str, str], int]:
    """Check a file's header against the file.

    Args:
        content: the whole file.

    Returns:
        What is said of each array, in the order of the data; the metadata; where the data begins.

    Raises:
        ValueError: anything that does not fit, named.
    """
    if len(content) < 8:
        raise ValueError(f"it has {len(content)} bytes, and the length of the header alone takes 8")
    length = int.from_bytes(content[:8], "little")
    if length > min(LONGEST_HEADER, len(content) - 8):
        raise ValueError(f"the header claims {length} bytes, {len(content) - 8} follow")
    try:
        header = json.loads(content[8 : 8 + length].decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("__metadata__ must map names to texts")
    entries = sorted((_entry(name, said) for name, said in header.items()), key=lambda entry: (entry.start, entry.stop))
    end = 0
    for entry in entries:
        if entry.start != end:
            raise ValueError(f"{entry.name!r} begins at byte {entry.start}, the array before it ends at {end}")
        end = entry.stop
    if end != len(content) - 8 - length:
        raise ValueError(f"the header describes {end} bytes of data, {len(content) - 8 - length} follow")
    return entries, metadata, 8 + length


def _entry(name: str, said: Any) -> Entry:
    """One array's line of the header, checked on its own."""
    if not isinstance(said, dict) or set(said) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} needs dtype, shape and data_offsets")
    dtype, shape, offsets = said["dtype"], said["shape"], said["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{name!r} has dtype {dtype!r}, which is not one of {', '.join(DTYPES)}")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise ValueError(f"{name!r} has shape {shape!r} and data_offsets {offsets!r}: not lists of whole numbers")
    wanted = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != wanted:
        raise ValueError(f"{name!r} of shape {shape} and dtype {dtype} takes {wanted} bytes, data_offsets {offsets}")
    return Entry(name, dtype, tuple(shape), *offsets)


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _array(content: bytes, begin: int, entry: Entry) -> Array:
    stored = np.dtype(DTYPES[entry.dtype])
    flat = np.frombuffer(content, stored, count=math.prod(entry.shape), offset=begin + entry.start)
    if entry.dtype == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(flat.dtype.newbyteorder("="), copy=True).reshape(entry.shape)


# -------------------------------------------------------------------------------------------- nested state


def pack(tree: Any) -> tuple[Any, dict[str, Array]]:
    """Part a nested state into what JSON can hold and the arrays.

    Args:
        tree: dicts with text keys, lists, tuples, numbers, texts, booleans, None and arrays, nested at will: what
            the `state_dict` of an optimizer gives.

    Returns:
        The same tree with every array replaced by {"array": name}, and name to array.

    Raises:
        TypeError: something else in the tree, named by its place.

    >>> pack({"lr": 0.5, "state": [{"m": np.zeros(2)}]})
    ({'lr': 0.5, 'state': [{'m': {'array': 'state.0.m'}}]}, {'state.0.m': array([0., 0.])})
    """
    arrays: dict[str, Array] = {}

    def visit(value: Any, place: str) -> Any:
        if isinstance(value, np.ndarray):
            arrays[place] = value
            return {"array": place}
        if isinstance(value, np.generic):
            return visit(value.item(), place)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list):
            return [visit(part, f"{place}.{position}") for position, part in enumerate(value)]
        if isinstance(value, tuple):
            return {"tuple": visit(list(value), place)}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            inside = {key: visit(part, f"{place}.{key}" if place else key) for key, part in value.items()}
            return {"dict": inside} if set(inside) in ({"array"}, {"tuple"}, {"dict"}) else inside
        raise TypeError(f"cannot save a {type(value).__name__} (at {place or 'the top'}); arrays, numbers, texts, "
                        "lists, tuples and dicts with text keys can be")  # fmt: skip

    return visit(tree, ""), arrays


def unpack(tree: Any, arrays: Mapping[str, Array]) -> Any:
    """Undo `pack`.

    Raises:
        ValueError: the tree speaks of an array that is not there.

    >>> unpack(*pack({"betas": (0.9, 0.999)}))
    {'betas': (0.9, 0.999)}
    """
    if isinstance(tree, list):
        return [unpack(part, arrays) for part in tree]
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {"array"}:
        if tree["array"] not in arrays:
            raise ValueError(f"array {tree['array']!r} is missing")
        return arrays[tree["array"]]
    if set(tree) == {"tuple"}:
        return tuple(unpack(tree["tuple"], arrays))
    inside = tree["dict"] if set(tree) == {"dict"} else tree
    return {key: unpack(part, arrays) for key, part in inside.items()}
