"""MPI's datatypes as far as arrays need them: a name, and the NumPy dtype that it stands for.

mpi4py's own datatypes are taken too, by their `typestr` or, for the pairs of MAXLOC, by their name.
"""

import re
from typing import Any

import numpy as np

SHORT_NAME = re.compile(r"[?A-Za-z]|[bifuc]\d{1,2}")  # "d" and "f8", but not "float64", which mpi4py does not know
PAIRS = {"FLOAT_INT": "fi", "DOUBLE_INT": "di", "LONG_INT": "li", "2INT": "ii", "SHORT_INT": "hi"}


class Datatype:
    """One of MPI's datatypes.

    Args:
        name: As in MPI, "DOUBLE".
        dtype: What NumPy calls it.
    """

    def __init__(self, name: str, dtype: np.dtype[Any]):
        self.name = f"MPI_{name}"
        self.dtype = dtype
        self.typestr = dtype.str.lstrip("<>=|")
        self.typechar = dtype.char
        self.extent = dtype.itemsize

    def Get_size(self) -> int:
        """Bytes of data in one element, without padding."""
        fields = self.dtype.fields
        return sum(field[0].itemsize for field in fields.values()) if fields else self.dtype.itemsize

    def Get_extent(self) -> tuple[int, int]:
        """Lower bound and bytes from one element to the next."""
        return 0, self.extent

    def Get_name(self) -> str:
        """For example "MPI_DOUBLE"."""
        return self.name

    @property
    def size(self) -> int:
        """As `Get_size()`."""
        return self.Get_size()

    def __repr__(self) -> str:
        return self.name


def _pair(letters: str) -> np.dtype[Any]:
    """A value and an index, laid out as in C."""
    return np.dtype([("value", letters[0]), ("index", letters[1])], align=True)


_LETTERS = {
    "BYTE": "B", "CHAR": "S1", "SIGNED_CHAR": "b", "UNSIGNED_CHAR": "B", "C_BOOL": "?", "BOOL": "?",
    "SHORT": "h", "UNSIGNED_SHORT": "H", "INT": "i", "UNSIGNED": "I", "LONG": "l", "UNSIGNED_LONG": "L",
    "LONG_LONG": "q", "UNSIGNED_LONG_LONG": "Q", "FLOAT": "f", "DOUBLE": "d", "LONG_DOUBLE": "g",
    "COMPLEX": "F", "DOUBLE_COMPLEX": "D", "C_FLOAT_COMPLEX": "F", "C_DOUBLE_COMPLEX": "D",
    "INT8_T": "i1", "INT16_T": "i2", "INT32_T": "i4", "INT64_T": "i8",
    "UINT8_T": "u1", "UINT16_T": "u2", "UINT32_T": "u4", "UINT64_T": "u8",
}  # fmt: skip

DATATYPES = {name: Datatype(name, np.dtype(letters)) for name, letters in _LETTERS.items()}
DATATYPES |= {name: Datatype(name, _pair(letters)) for name, letters in PAIRS.items()}
DATATYPES["TWOINT"] = DATATYPES["INT_INT"] = DATATYPES.pop("2INT")  # MPI's own name is no name in Python


def datatype_of(dtype: np.dtype[Any]) -> Datatype:
    """The datatype that stands for a NumPy dtype.

    >>> datatype_of(np.dtype("float32"))
    MPI_FLOAT
    """
    found = (datatype for datatype in DATATYPES.values() if datatype.dtype == dtype)
    return next(found, Datatype(f"OF_{dtype}", dtype))


def dtype_named(datatype: Any) -> np.dtype[Any] | None:
    """The NumPy dtype of what a program passes beside a buffer.

    Args:
        datatype: One of ours, one of mpi4py's, or a letter or string as NumPy has them ("d", "f8").

    Returns:
        The dtype; None if it is no datatype at all.

    >>> dtype_named("d"), dtype_named(DATATYPES["INT"])
    (dtype('float64'), dtype('int32'))
    """
    if isinstance(datatype, Datatype):
        return datatype.dtype
    letters = PAIRS.get(str(getattr(datatype, "name", "")).removeprefix("MPI_"))
    if letters is not None:
        return _pair(letters)
    if isinstance(datatype, str) and not SHORT_NAME.fullmatch(datatype):
        return None
    letters = datatype if isinstance(datatype, str) else getattr(datatype, "typestr", None)
    if not isinstance(letters, str):
        return None
    try:
        return np.dtype(letters)
    except TypeError:
        return None
