"""Communicators: the simulated one, the observer of any, and what programs for both worlds share."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# These are imported at once: `clock`, `observe` and `spawn` are functions that bear their file's name, and a file
# imported later would take the function's place.
from parallel.comm.clock import charge, clock, elapse, measured, new_status, pause, region
from parallel.comm.collect import collect_spans
from parallel.comm.errors import (
    ANY_SOURCE,
    ANY_TAG,
    DeadlockError,
    MessageError,
    MismatchError,
    RankExit,
    UnfinishedError,
    Waiting,
)
from parallel.comm.observe import observe
from parallel.comm.spawn import spawn
from parallel.comm.stream import communication_stream

if TYPE_CHECKING:
    from parallel.comm import mpi as MPI
    from parallel.comm.ghost import Ghost, GhostError
    from parallel.comm.sim import SimComm, simulate
    from parallel.comm.simulation import Simulation
    from parallel.comm.status import SimStatus

    Status = SimStatus

__all__ = [
    "ANY_SOURCE",
    "ANY_TAG",
    "MPI",
    "DeadlockError",
    "Ghost",
    "GhostError",
    "MessageError",
    "MismatchError",
    "RankExit",
    "SimComm",
    "SimStatus",
    "Simulation",
    "Status",
    "UnfinishedError",
    "Waiting",
    "charge",
    "clock",
    "collect_spans",
    "communication_stream",
    "elapse",
    "measured",
    "new_status",
    "observe",
    "pause",
    "region",
    "simulate",
    "spawn",
]

_LAZY = {  # they import greenlet, or are not needed by all
    "Ghost": ("ghost", "Ghost"),
    "GhostError": ("ghost", "GhostError"),
    "SimComm": ("sim", "SimComm"),
    "SimStatus": ("status", "SimStatus"),
    "Simulation": ("simulation", "Simulation"),
    "Status": ("status", "SimStatus"),
    "simulate": ("sim", "simulate"),
}


def __getattr__(name: str) -> Any:
    """Load the simulated world when a name of it is first used."""
    if name == "MPI":
        return import_module(f"{__name__}.mpi")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    file, attribute = _LAZY[name]
    return getattr(import_module(f"{__name__}.{file}"), attribute)
