"""Time, names for spans, and statuses, for programs that run in both worlds.

Each function calls the communicator's own method where it has one, as simulated and observed communicators do,
and MPI where it has none.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any


def elapse(comm: Any, seconds: float, name: str = "compute") -> None:
    """Say that work of `seconds` is done here, at the nominal speed of a rank.

    In simulation the rank's clock moves on by `seconds / speed`. On a real communicator this returns at once: real
    work takes its own time.

    Args:
        comm: Any communicator.
        seconds: Work, in s, 0 or more.
        name: What the span of it is called.

    Raises:
        ValueError: If `seconds` is negative or not finite.
    """
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds={seconds!r} must be finite and 0 or more")
    if hasattr(comm, "elapse"):
        comm.elapse(seconds, name)


def clock(comm: Any) -> float:
    """The time on this rank, in s: virtual in simulation, MPI.Wtime otherwise.

    Args:
        comm: Any communicator.

    Returns:
        Seconds since a moment that stays the same during the run.
    """
    if hasattr(comm, "clock"):
        return float(comm.clock())
    from mpi4py import MPI

    return float(MPI.Wtime())


def new_status(comm: Any) -> Any:
    """A status for `Recv` and `Wait` of this communicator.

    Args:
        comm: Any communicator.

    Returns:
        An object with `Get_source()`, `Get_tag()` and `Get_count()` (in bytes).
    """
    if hasattr(comm, "new_status"):
        return comm.new_status()
    from mpi4py import MPI

    return MPI.Status()


@contextmanager
def region(comm: Any, name: str) -> Iterator[None]:
    """Give the work done in a `with` block a name in the trace.

    In simulation the spans of `elapse` inside it are called `name`. On an observed communicator the real time from
    its beginning to its end becomes one "compute" span. On a plain communicator it does nothing.

    Args:
        comm: Any communicator.
        name: For example "F3".
    """
    with comm.region(name) if hasattr(comm, "region") else nullcontext():
        yield
