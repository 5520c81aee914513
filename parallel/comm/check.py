"""Looking closely at the arguments of a communicator's calls (rule 44).

These run only when a cheap test in the call has failed, so they may take their time. What is right after all is
handed back in its plain form; what is wrong is refused with a sentence that names the rank and the call.
"""

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from parallel.comm.buffers import Place, flat
from parallel.comm.errors import ANY_SOURCE, ANY_TAG, LARGEST_TAG, PROC_NULL
from parallel.comm.inbox import Inbox

if TYPE_CHECKING:
    from parallel.comm.member import Member


def check_send(comm: "Member", call: str, buffer: Any, dest: Any, tag: Any) -> Any:
    """The array that a send names.

    Raises:
        ValueError: If a value is out of range.
        TypeError: If a type is wrong.
    """
    place = _place(comm, f"{call}(dest={dest!r}, tag={tag!r})")
    _check_integer(place, "dest", dest)
    _check_integer(place, "tag", tag)
    if dest != PROC_NULL and not 0 <= dest < comm.size:
        _refuse(place, f"dest must be a rank of this communicator, 0 to {comm.size - 1}, or PROC_NULL")
    if not 0 <= tag <= LARGEST_TAG:
        _refuse(place, f"the tag of a send must be 0 or more, and at most {LARGEST_TAG}")
    return _array_for(dest, place, buffer, writable=False)


def check_receive(comm: "Member", call: str, buffer: Any, source: Any, tag: Any) -> Any:
    """The array that a receive names.

    Raises:
        ValueError: If a value is out of range.
        TypeError: If a type is wrong.
    """
    return _array_for(source, check_address(comm, call, source, tag), buffer, writable=True)


def check_address(comm: "Member", call: str, source: Any, tag: Any) -> Place:
    """Refuse a source and a tag that no message could have.

    Returns:
        The rank and the call, for further errors.

    Raises:
        ValueError: If a value is out of range.
        TypeError: If a type is wrong.
    """
    place = _place(comm, f"{call}(source={source!r}, tag={tag!r})")
    _check_integer(place, "source", source)
    _check_integer(place, "tag", tag)
    if source not in (ANY_SOURCE, PROC_NULL) and not 0 <= source < comm.size:
        _refuse(place, f"source must be a rank of this communicator, 0 to {comm.size - 1}, ANY_SOURCE or PROC_NULL")
    if tag != ANY_TAG and not 0 <= tag <= LARGEST_TAG:
        _refuse(place, f"the tag of a receive must be ANY_TAG, or 0 or more and at most {LARGEST_TAG}")
    return place


def _place(comm: "Member", call: str) -> Place:
    """The rank's number in the world, and the communicator if it is another one."""
    context = comm.context
    inside = "" if context is comm.world.context else f" in {context.name}"
    return Place(context.members[comm.rank], call + inside, "the buffer")


def _array_for(peer: int, place: Place, buffer: Any, writable: bool) -> Any:
    """The array that a buffer argument names; None only where there is nobody to talk to."""
    if buffer is None and peer == PROC_NULL:
        return np.empty(0, np.uint8)
    return buffer if isinstance(buffer, Inbox) else flat(place, buffer, writable)


def _check_integer(place: Place, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        _refuse(place, f"{name}={value!r} must be an integer", TypeError)


def _refuse(place: Place, text: str, error: type[Exception] = ValueError) -> NoReturn:
    raise error(f"rank {place.rank}: {place.call}: {text}")
