"""What can go wrong between ranks, and the numbers that mean something special in a call."""

from collections.abc import Mapping
from typing import NamedTuple

ANY_SOURCE = -1  # Open MPI's values, so that a program needs no mpi4py to name them
ANY_TAG = -1
LARGEST_TAG = 2**31 - 1  # of an int of C, which is how MPI passes it; an MPI may allow less
PROC_NULL = -2  # nobody: a message to or from it is not sent
UNDEFINED = -32766  # no color, no rank


class Waiting(NamedTuple):
    """One stream that cannot go on.

    Args:
        rank: Its rank.
        stream: Its number on that rank, 0 for the main line.
        call: What it waits in, for example "Send to 1 tag 0".
        peers: The ranks it waits for; empty when any rank would do.
        where: File and line of the program, for example "prog.py:12".
    """

    rank: int
    stream: int
    call: str
    peers: tuple[int, ...]
    where: str

    def __str__(self) -> str:
        """One sentence without its full stop."""
        line = f" stream {self.stream}" if self.stream else ""
        return f"rank {self.rank}{line} waits in {self.call} ({self.where})"


class DeadlockError(RuntimeError):
    """Ranks wait for one another and none can go on.

    Args:
        message: The text.
        waiting: Who waits for what: the wait-for graph, an edge from each `rank` to each of its `peers`.
        cycle: Ranks of which each waits for the next, and the last for the first; empty if there is no such circle.
        failed: Ranks that have failed, and when, in s.
    """

    def __init__(
        self,
        message: str,
        waiting: tuple[Waiting, ...] = (),
        cycle: tuple[int, ...] = (),
        failed: Mapping[int, float] | None = None,
    ):
        super().__init__(message)
        self.waiting = waiting
        self.cycle = cycle
        self.failed = dict(failed or {})


class MessageError(RuntimeError):
    """A message does not fit the buffer of the receive it was matched with."""


class MismatchError(RuntimeError):
    """Ranks made different calls where all have to make the same."""


class RankExit(RuntimeError):
    """A rank ended itself by `sys.exit` with a status that is not 0.

    Args:
        rank: Which.
        status: Its status.
        words: What it said instead of a number, if anything.
    """

    def __init__(self, rank: int, status: int, words: str = ""):
        super().__init__(f"rank {rank} ended with sys.exit({words or status})")
        self.status = status


class UnfinishedError(RuntimeError):
    """A program ended and left requests or streams it never waited for."""
