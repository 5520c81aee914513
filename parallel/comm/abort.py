"""A rank that fails ends the whole job: MPI itself would let the others wait for its messages for ever.

`minigrad launch` and `python -m mpi4py` see to it for every program. Under a plain `mpirun python program.py` an
exception ends only the process it was raised in. So whatever of ours is given MPI's communicator calls
`end_job_on_exception`; a program that uses none of it is started as `mpirun -n 4 python -m mpi4py program.py`.
"""

import os
import signal
import sys
from types import ModuleType, TracebackType
from typing import Any

from parallel.comm.rank import traceback_text


def mpi_with_others() -> ModuleType | None:
    """mpi4py.MPI if this process is one of several ranks; it is not loaded for this.

    >>> mpi_with_others() is None
    True
    """
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized() or mpi.COMM_WORLD.Get_size() == 1:
        return None
    return mpi


def abort_job(status: int) -> None:
    """End all ranks of the job with `status`, this one too; without other ranks, do nothing.

    Args:
        status: Exit status of the job, not 0.
    """
    mpi = mpi_with_others()
    if mpi is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        mpi.COMM_WORLD.Abort(status)


def abort_job_with(error: BaseException) -> None:
    """Show the traceback of `error` under its rank and end all ranks; without other ranks, do nothing."""
    if mpi_with_others() is not None:
        sys.stdout.flush()
        # One write, so that two ranks' tracebacks do not interleave.
        os.write(2, traceback_text(error).encode(errors="backslashreplace"))
        abort_job(1)


def end_job_on_exception(comm: Any) -> None:
    """From now on an exception that nobody catches on this rank ends the job, with its traceback.

    It replaces `sys.excepthook`, once, by one that calls the one before where there are no other ranks.
    `sys.exit(3)` on one rank is no exception in this sense.

    Args:
        comm: The communicator that the program uses. Only MPI's has ranks that would go on waiting: for a simulated
            one this does nothing.
    """
    if mpi_with_others() is not None and hasattr(comm, "Abort") and not isinstance(sys.excepthook, EndJob):
        sys.excepthook = EndJob()


class EndJob:
    """An excepthook that ends the job."""

    def __init__(self) -> None:
        self.before = sys.excepthook

    def __call__(self, kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
        """Called by Python with an exception that nobody has caught."""
        if isinstance(error, KeyboardInterrupt):
            abort_job(128 + signal.SIGINT)
        abort_job_with(error)
        self.before(kind, error, frames)
