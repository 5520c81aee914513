"""Ranks that die while others go on: how a program that wants to survive them hears of it, in both worlds.

In simulation the cluster says which rank fails when, and whoever listens is sent a message by the network: an empty
one, from the lost rank, with the tag that was asked for. What a listener is sending to the lost rank just then is
dropped, so that it does not wait for ever. Under MPI it takes `mpirun --with-ft ulfm`: then a call that
waits for a dead rank raises, where without it the whole job is ended.

Those who are left must not end as usual either: MPI's Finalize is a meeting of all ranks, and Open MPI's (5.0) now and
then waits for the dead one for ever. So whoever knows of a death when its program is done leaves without it.
"""

import atexit
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from parallel.comm.abort import mpi_with_others


def leave_if_a_rank_has_died() -> None:
    """End this process at once, with status 0, if it is one of several ranks of MPI of which one has died.

    Python calls it when all else is done, and just before mpi4py finalizes MPI.
    """
    mpi = mpi_with_others()
    try:
        dead = mpi is not None and mpi.COMM_WORLD.Get_failed().Get_size() > 0
    except NotImplementedError:  # an MPI that knows no failures
        dead = False
    if dead:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


atexit.register(leave_if_a_rank_has_died)  # when this file is imported: what is registered later is called before


def listen_for_lost_ranks(comm: Any, tag: int, dtype: Any) -> Callable[[], set[int]]:
    """Ask to be told of ranks that fail from now on.

    Args:
        comm: Any communicator.
        tag: Of the message that tells it, in simulation: whoever waits for any message is woken by it.
        dtype: Of the arrays that this rank receives: the message is an empty array of it.

    Returns:
        A function that says which ranks of `comm` have failed so far; under MPI, where only a call that fails tells,
        none.
    """
    if not hasattr(comm, "listen"):
        return set
    failed: Callable[[], set[int]] = comm.listen(tag, np.dtype(dtype))
    return failed


def lost_rank_errors(comm: Any) -> tuple[type[Exception], ...]:
    """The exceptions by which MPI tells of a dead rank; none in simulation."""
    if hasattr(comm, "clock"):
        return ()
    from mpi4py import MPI

    return (MPI.Exception,)


def acknowledge_lost(comm: Any, error: Exception) -> set[int]:
    """The ranks of `comm` that have died, after which it may be used again with the others.

    Args:
        comm: A communicator of mpi4py, under an MPI with ULFM.
        error: What a call has raised.

    Returns:
        Ranks in `comm`.

    Raises:
        Exception: `error` itself if it tells of something else.

    Source: Bland and others, "Post-failure recovery of MPI communication capability", 2013 (ULFM).
    """
    from mpi4py import MPI

    failures = {getattr(MPI, name, None) for name in ("ERR_PROC_FAILED", "ERR_PROC_FAILED_PENDING")}
    if not isinstance(error, MPI.Exception) or error.Get_error_class() not in failures:
        raise error
    comm.Ack_failed()
    failed, everybody = comm.Get_failed(), comm.Get_group()
    return set(failed.Translate_ranks(range(failed.Get_size()), everybody))
