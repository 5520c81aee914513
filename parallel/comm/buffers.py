"""What mpi4py's calls with capital letters take as a buffer, made into flat arrays.

    x                        an array, contiguous in C or Fortran order
    [x, type]                its memory as elements of `type`
    [x, count]               its first elements
    [x, count, type]
    [x, counts, type]        a block for each rank, one behind the other (the calls that end in v)
    [x, (counts, displs), type], [x, counts, displs, type]
                             a block for each rank, each beginning at its displacement

Instead of an array: a Ghost, or any object with Python's buffer protocol, such as a bytearray.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from parallel.comm.datatypes import dtype_named
from parallel.comm.ghost import Ghost

BYTES = np.dtype(np.uint8)  # MPI's BYTE: the memory itself, whatever it holds
LETTERS = frozenset("?bBhHiIlLqQefdgFDGc")  # NumPy's letters for what MPI has a type for


class InPlace:
    """MPI's IN_PLACE: the data to send lies in the receive buffer already."""

    def __repr__(self) -> str:
        return "IN_PLACE"


IN_PLACE = InPlace()


def in_place(buffer: Any) -> bool:
    """Whether a buffer is IN_PLACE, ours or mpi4py's. None means the same where a buffer is needed."""
    return buffer is None or buffer is IN_PLACE or type(buffer).__name__ == "InPlaceType"


class Place(NamedTuple):
    """Where a buffer was passed, for errors.

    Args:
        rank: By whom.
        call: To which call.
        name: As which argument.
    """

    rank: int
    call: str
    name: str

    def refuse(self, text: str, error: type[Exception] = ValueError) -> NoReturn:
        """Raise `error`, with a sentence that names rank, call and argument."""
        raise error(f"rank {self.rank}: {self.call}: {self.name} {text}")


class Blocks:
    """A flat array with a block for each rank.

    Args:
        data: The flat array.
        counts: Elements in each block.
        displs: Where each begins.
    """

    __slots__ = ("counts", "data", "displs")

    def __init__(self, data: Any, counts: Sequence[int], displs: Sequence[int]):
        self.data = data
        self.counts = counts
        self.displs = displs

    def __getitem__(self, rank: int) -> Any:
        """The block of a rank: a view."""
        start = self.displs[rank]
        return self.data[start : start + self.counts[rank]]


def flat(place: Place, buffer: Any, writable: bool = False, blocks: int = 1) -> Any:
    """A flat view of the elements that a buffer names.

    Args:
        place: Where it was passed.
        buffer: In any of the forms above without counts and displacements for each rank.
        writable: Whether it is to be written to.
        blocks: Number of ranks that it has a block of equal size for; an explicit count is that of one block.

    Returns:
        A one-dimensional array or ghost that shares the buffer's memory.

    Raises:
        ValueError: If its memory is not contiguous, read-only, or too small.
        TypeError: If it is none of these forms.
    """
    data, count, displ, dtype = _parts(place, buffer if isinstance(buffer, list | tuple) else [buffer])
    array = _flat_array(place, data, writable, dtype)
    start = 0 if displ is None else _whole(place, displ, "displacement")
    if count is not None:
        needed = _whole(place, count, "count") * blocks
        if start + needed > array.size:
            place.refuse(f"has {array.size} elements, and {start + needed} are named")
        array = array[start : start + needed]
    if array.size % blocks:
        place.refuse(f"has {array.size} elements, which are not {blocks} equal blocks, one for each rank")
    return array


def for_each_rank(place: Place, buffer: Any, ranks: int, writable: bool = False) -> Blocks:
    """The blocks that a buffer has for the ranks.

    Args:
        place: Where it was passed.
        buffer: In any of the forms above. Without counts its elements are shared out evenly, the first ranks getting
            one more where that does not come out even, as mpi4py does.
        ranks: Number of ranks.
        writable: Whether it is to be written to.

    Returns:
        The blocks, which share the buffer's memory.

    Raises:
        ValueError: If its memory is not contiguous, read-only, or too small.
        TypeError: If it is none of these forms.
    """
    spec = buffer if isinstance(buffer, list | tuple) else [buffer, None]
    data, counts, displs, dtype = _parts(place, spec)
    array = _flat_array(place, data, writable, dtype)
    if counts is None:
        share, more = divmod(array.size, ranks)
        counts = [share + (rank < more) for rank in range(ranks)]
    elif not np.iterable(counts):
        counts = [counts] * ranks
    counts = [_whole(place, count, "count") for count in counts]
    if displs is None:
        displs = [0, *np.cumsum(counts[:-1]).tolist()]
    displs = [_whole(place, displ, "displacement") for displ in displs]
    if len(counts) != ranks or len(displs) != ranks:
        place.refuse(f"has {len(counts)} counts and {len(displs)} displacements for {ranks} ranks")
    end = max((displ + count for displ, count in zip(displs, counts, strict=True)), default=0)
    if end > array.size:
        place.refuse(f"has {array.size} elements, and {end} are named")
    return Blocks(array, counts, displs)


def _parts(place: Place, spec: Sequence[Any]) -> tuple[Any, Any, Any, np.dtype[Any] | None]:
    """The array, count or counts, displacements and dtype of a buffer given as a list."""
    if not 1 <= len(spec) <= 4:
        place.refuse(f"is a list of {len(spec)}; it may be [array, count, displacements, type]", TypeError)
    data, *rest = spec
    dtype = dtype_named(rest[-1]) if rest else None
    if dtype is not None:
        rest.pop()
    count, displ = (*rest, None, None)[:2]
    if isinstance(count, tuple):
        if len(count) != 2:
            place.refuse(f"has the tuple {count} where (counts, displacements) is meant; counts alone are a list")
        count, displ = count
    return data, count, displ, dtype


def _flat_array(place: Place, data: Any, writable: bool, dtype: np.dtype[Any] | None) -> Any:
    if isinstance(data, Ghost):
        return data.reshape(-1)
    if not isinstance(data, np.ndarray):
        data = _exported(place, data)
    flags = data.flags
    if not flags.c_contiguous:
        if not flags.f_contiguous:
            place.refuse(f"of shape {data.shape} must be contiguous")
        data = data.T  # the same memory in the order in which it lies
    if writable and not flags.writeable:
        place.refuse("is read-only")
    if data.dtype.hasobject:
        place.refuse(f"has dtype {data.dtype}; its objects live on one rank", TypeError)
    elements = data.reshape(-1)
    if dtype is not None and dtype != data.dtype:
        if BYTES not in (dtype, data.dtype) and dtype.names is None:  # pairs have fields, named as one likes
            place.refuse(f"has dtype {data.dtype}, the MPI type beside it is {dtype}", TypeError)
        if data.nbytes % dtype.itemsize:
            place.refuse(f"has {data.nbytes} bytes, which are not a whole number of {dtype}")
        return elements.view(dtype)
    if dtype is None and (data.dtype.char not in LETTERS or not data.dtype.isnative):
        place.refuse(f"has dtype {data.dtype}, which MPI has no type for; pass x.view(numpy.uint8)", TypeError)
    return elements


def _exported(place: Place, data: Any) -> Any:
    """An array over the memory of another object."""
    if in_place(data):
        place.refuse("must be an array here, not None or IN_PLACE", TypeError)
    try:
        lent = memoryview(data)
    except TypeError:
        lent = None
    if lent is None:
        place.refuse(f"must be an array or [array, count, type], not {type(data).__name__}", TypeError)
    return np.asarray(lent)


def _whole(place: Place, value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        place.refuse(f"has the {what} {value!r}, which must be an integer", TypeError)
    if value < 0:
        place.refuse(f"has the {what} {value}, which must be 0 or more")
    return int(value)
