"""Time, names for spans, and statuses, for programs that run in both worlds.

Each function calls the communicator's own method where it has one, as simulated and observed communicators do,
and MPI where it has none.
"""

import math
import time
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
    _refuse_negative("seconds", seconds)
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


def pause(comm: Any, seconds: float) -> None:
    """Do nothing for a while: sleep on a real communicator, let virtual time pass on a simulated one.

    Args:
        comm: Any communicator.
        seconds: In s, 0 or more.

    Raises:
        ValueError: If `seconds` is negative or not finite.
    """
    _refuse_negative("seconds", seconds)
    if hasattr(comm, "wait_until"):
        comm.wait_until(comm.clock() + seconds)
    else:
        time.sleep(seconds)


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


def charge(
    comm: Any, flops: float = 0.0, nbytes: float = 0.0, dtype: str = "float32", name: str = "compute"
) -> None:
    """Say that work of so many FLOPs and bytes is done here, on whatever the rank computes on.

    In simulation the rank's clock moves on by the time that its device needs, the longer of computing and moving
    (a roofline), divided by the rank's speed. On a real communicator this returns at once.

    Args:
        comm: Any communicator.
        flops: Floating-point operations, 0 or more.
        nbytes: Bytes read and written, 0 or more.
        dtype: Of the arithmetic; one that the device has a rate for.
        name: What the span of it is called.

    Raises:
        ValueError: If an amount is negative or not finite, the cluster names no device, or that has no rate for
            `dtype`.

    Source: Williams, Waterman and Patterson, "Roofline", 2009.

    >>> from parallel import Cluster, simulate
    >>> from parallel.cluster import DEVICES
    >>> cluster = Cluster(devices=DEVICES["V100"])
    >>> simulate(lambda comm: charge(comm, flops=31.4e12), ranks=2, cluster=cluster).times
    [2.0, 2.0]
    """
    for label, amount in (("flops", flops), ("nbytes", nbytes)):
        _refuse_negative(label, amount)
    if hasattr(comm, "device"):
        elapse(comm, comm.device().seconds(flops, nbytes, dtype), name)


@contextmanager
def measured(comm: Any, name: str = "compute") -> Iterator[None]:
    """Charge the real time that a `with` block takes.

    In simulation the rank's clock moves on by the seconds that this machine needed for the block, divided by the
    rank's speed. **Such a run is not repeatable:** no two runs take the same time, and whatever else the machine does
    enters. Use it to give a simulation its scale, and `elapse` or `charge` where times are compared. On a real
    communicator it is the same as `region`: real work takes its own time.

    Args:
        comm: Any communicator.
        name: What the span of it is called.

    Raises:
        ValueError: If the block waited for other ranks, whose work would be charged too.
    """
    if not hasattr(comm, "device"):
        with region(comm, name):
            yield
        return
    before, start = comm.clock(), time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    if comm.clock() != before:
        raise ValueError(
            f"measured(comm, {name!r}) must hold computation only: its clock moved by {comm.clock() - before:g} s"
        )
    elapse(comm, seconds, name)


def _refuse_negative(name: str, amount: float) -> None:
    try:
        good = math.isfinite(amount) and amount >= 0
    except TypeError:
        raise TypeError(f"{name}={amount!r} must be a number") from None
    if not good:
        raise ValueError(f"{name}={amount!r} must be finite and 0 or more")
