"""`simulate`, and the communicator that a simulated program is given.

The rules that it follows are written down in docs/simulated-world.md.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CoroutineType, GeneratorType
from typing import Any

import numpy as np

from parallel.cluster import Cluster, Device
from parallel.comm.communicators import Communicators
from parallel.comm.errors import DeadlockError, RankExit, UnfinishedError
from parallel.comm.failure import Listener, schedule_failures
from parallel.comm.mpi import simulated_world
from parallel.comm.not_simulated import NotSimulated
from parallel.comm.persistent import Persistent
from parallel.comm.pickled import Pickled
from parallel.comm.probing import Probing
from parallel.comm.scheduler import Stream
from parallel.comm.sim_collectives import SimCollectives
from parallel.comm.simulation import Simulation
from parallel.comm.source_line import line_of
from parallel.comm.status import SimStatus
from parallel.comm.world import World

FIDELITIES = ("message", "collective")


class SimComm(Pickled, Probing, Persistent, Communicators, SimCollectives, NotSimulated):
    """A communicator of the simulated world, with the names and arguments of mpi4py's.

    Programs are given one by `simulate`; they do not make any.

    Args:
        world: The world it lives in.
        context: Its members and their mailboxes.
        rank: The rank it stands for.
    """

    # ---- what no MPI has: see clock.py and spawn.py for the functions that call these

    def elapse(self, seconds: float, name: str) -> None:
        """Let `seconds` of work at nominal speed pass on this rank (rule 23)."""
        stream, world = self.world.running, self.world
        law = world.cluster.stragglers
        if law is not None:
            seconds *= law.factor(world.generator(stream.rank), stream.rank)
        time = stream.clock + seconds / world.cluster.speed(stream.rank)
        world.advance(stream, time, stream.label or name, "compute")

    def device(self) -> Device:
        """What this rank computes on."""
        return self.world.cluster.device(self.world.running.rank)

    def clock(self) -> float:
        """Virtual time of the calling stream, in s."""
        return self.world.running.clock

    def wait_until(self, time: float) -> None:
        """Let the calling stream do nothing until `time`, in virtual s; nothing happens if that is past."""
        stream = self.world.running
        stream.clock = max(stream.clock, time)

    def listen(self, tag: int, dtype: Any) -> Callable[[], set[int]]:
        """Ask to be sent an empty message when a rank fails; see lost.py. Returns what tells who has failed."""
        self.world.listeners.append(Listener(self.context, self.rank, tag, dtype))
        members, world = self.context.members, self.world

        def failed_so_far() -> set[int]:
            world.turn()  # until all that has happened by the caller's clock has happened
            return {members.index(rank) for rank in world.failed if rank in members}

        return failed_so_far

    def new_status(self) -> SimStatus:
        """A status that this communicator's calls can fill."""
        return SimStatus()

    @contextmanager
    def region(self, name: str) -> Iterator[None]:
        """Call the spans of `elapse` in the block `name`."""
        stream = self.world.running
        before, stream.label = stream.label, name
        try:
            yield
        finally:
            stream.label = before

    def spawn(self, function: Callable[["SimComm"], Any]) -> "SimSpawned":
        """Start another stream of this rank on a duplicate of this communicator (rule 31)."""
        context = self.context.child(f"spawn{self._spawned}")
        self._spawned += 1
        duplicate = SimComm(self.world, context, self.rank)
        return SimSpawned(self.world, self.world.spawn(lambda: function(duplicate)))


class SimSpawned:
    """A spawned stream, to be joined once."""

    def __init__(self, world: World, stream: Stream):
        self._world = world
        self._stream = stream

    def join(self) -> Any:
        """Wait for the stream's end; returns what its function returned."""
        return self._world.join(self._stream)


def simulate(
    program: Callable[..., Any],
    ranks: int = 4,
    cluster: Cluster | None = None,
    args: Sequence[Any] = (),
    trace: bool = True,
    fidelity: str = "message",
) -> Simulation:
    """Run `program(comm, *args)` on every rank of a simulated world.

    Args:
        program: A function of a communicator, as one would run it under mpirun on MPI.COMM_WORLD.
        ranks: Number of ranks, 1 or more.
        cluster: Links and speeds; `Cluster()` if None.
        args: Further arguments, the same objects for all ranks.
        trace: Whether to keep spans. Large runs save time and memory without.
        fidelity: "message": every message of the collectives of `parallel.collectives` is an event. "collective": each
            of these collectives is one event, priced by its closed form on the worst link among its ranks; this is how
            thousands of ranks are simulated.

    Returns:
        Results and times by rank, spans, and the number of messages.

    Raises:
        DeadlockError: If ranks wait for one another.
        UnfinishedError: If requests or streams were never waited for.
        RankExit: If a rank calls `sys.exit` with a status that is not 0.
        TypeError: If `program` is no function or a generator, or `cluster` is no Cluster.
        ValueError: If `ranks` is below 1 or does not fit the cluster, or if there is no such `fidelity`.
        Exception: Whatever a rank raises, with a note that names the rank.

    Cost: about 3 microseconds of processor time a message, and 10 KB of memory a rank.

    >>> import numpy as np
    >>> def program(comm):
    ...     x = np.array([float(comm.Get_rank())])
    ...     right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    ...     y = np.empty(1)
    ...     comm.Sendrecv(x, right, recvbuf=y, source=left)
    ...     return float(y[0])
    >>> simulate(program, ranks=3).results
    [2.0, 0.0, 1.0]
    """
    if isinstance(ranks, bool) or not isinstance(ranks, int | np.integer):
        raise TypeError(f"ranks={ranks!r} must be an integer")
    if ranks < 1:
        raise ValueError(f"ranks={ranks} must be 1 or more")
    if not callable(program):
        raise TypeError(f"program={program!r} must be a function of a communicator")
    if fidelity not in FIDELITIES:
        raise ValueError(f"fidelity={fidelity!r} must be one of {', '.join(FIDELITIES)}")
    if isinstance(args, str) or not isinstance(args, Sequence):
        raise TypeError(f"args={args!r} must be a tuple of further arguments, as in args=(8,)")
    cluster = cluster if cluster is not None else Cluster()
    if not isinstance(cluster, Cluster):
        raise TypeError(f"cluster={cluster!r} must be a Cluster; parallel.cluster.named_cluster makes one from a name")
    cluster.check_size(ranks)
    world = World(int(ranks), cluster, trace, fidelity)
    for rank in range(ranks):
        comm = SimComm(world, world.context, rank)
        world.add_stream(rank, 0.0, _main_line(program, comm, args))
    schedule_failures(world)
    try:
        world.run()
    except DeadlockError as error:
        world.close()
        raise error from world.unwinding
    finally:
        world.close()
    _refuse_unfinished(world)
    times = [0.0] * ranks
    for stream in world.streams:
        if stream.number >= 0:  # else it is not the rank's, but its failure
            times[stream.rank] = max(times[stream.rank], stream.clock)
    results = [stream.result for stream in world.streams[:ranks]]
    return Simulation(results, times, world.messages, world.failed, world.transfers, world.deeds)


def _main_line(program: Callable[..., Any], comm: SimComm, args: Sequence[Any]) -> Callable[[], Any]:
    """What one rank runs: the program, to which `comm` is also MPI.COMM_WORLD, and which `sys.exit` ends."""

    def run() -> Any:
        simulated_world.set(comm)
        try:
            result = program(comm, *args) if args else program(comm)
        except SystemExit as stop:
            if stop.code is None or stop.code == 0:
                return None
            if isinstance(stop.code, int):
                raise RankExit(comm.rank, stop.code) from None
            raise RankExit(comm.rank, 1, repr(stop.code)) from None
        if isinstance(result, GeneratorType | CoroutineType):
            result.close()
            raise TypeError(f"program={program!r} has a `yield` or is `async`: its call alone runs nothing of it")
        return result

    return run


def _refuse_unfinished(world: World) -> None:
    """Name what the programs left undone (rule 43)."""
    lines = []
    unanswered = [request for request in world.freed if request.end is None]
    for request in (*world.open, *unanswered):
        if request.stream.failed:
            continue
        matched = "" if request.end is not None else ", and nobody answered it"
        lines.append(
            f"rank {request.stream.rank} never waited for {request.describe()} ({line_of(request.posted_at)}){matched}"
        )
    unjoined = [stream for stream in world.unjoined if not stream.failed]
    lines += [f"rank {stream.rank} never joined stream {stream.number}" for stream in unjoined]
    if lines:
        raise UnfinishedError("the program ended with unfinished work\n  " + "\n  ".join(lines))
