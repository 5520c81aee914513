"""Who acts next in the simulated world: streams, their clocks, and the queue of those that can go on.

The rules are those of docs/simulated-world.md; the comments give their numbers.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection
from contextvars import copy_context
from heapq import heapify, heappop, heappush, heappushpop
from math import inf
from typing import Any, NoReturn

from greenlet import GreenletExit, getcurrent, greenlet

from parallel.comm.deadlock import deadlock
from parallel.comm.message import ReceiveRequest, SendRequest

# rank, stream, name, start, end, kind: a Span in the making, as a tuple, which is made faster
Deed = tuple[int, int, str, float, float, str]
ENDED = (-inf,)  # sorts before every stream: makes `turn` look up when the world has ended


class Stream:
    """One line of execution of a rank: a greenlet and its clock.

    Args:
        world: The world it belongs to.
        rank: The rank in the world.
        number: Which line of execution of the rank, 0 being the main line.
        clock: The time at which it begins, in s.
    """

    __slots__ = (
        "blocked_on", "call", "clock", "ended", "failed", "greenlet", "joiner", "label", "number", "order", "pending",
        "polled_at", "rank", "receiving", "result", "resume", "sending", "wake", "world",
    )  # fmt: skip

    def __init__(self, world: Any, rank: int, number: int, clock: float):
        self.world = world
        self.rank = rank
        self.number = number
        self.order = (rank << 32) + number  # by rank, then by number
        self.clock = clock  # s
        self.pending = 0  # how many things it still waits for
        self.wake = clock  # when it can go on, as far as known
        self.call = ""  # what it is blocked in, for the report
        self.blocked_on: Any = ()  # requests, a Meeting, or a Stream to join
        self.polled_at = -inf  # clock after its latest failed test
        self.label = ""  # name of the region it is in, for its spans
        self.joiner: Stream | None = None
        self.ended = False
        self.failed = False  # stopped for ever where it was
        self.result: Any = None
        self.greenlet: Any = None
        self.resume: Callable[..., Any] = _nothing
        # The requests of its blocking calls: there is one such call at a time, so they are made once.
        self.sending = SendRequest(self, "")
        self.receiving = ReceiveRequest(self, "")
        self.sending.waiter = self.receiving.waiter = self


def _nothing() -> None:
    """What a stream without greenlet does when it is resumed."""


class Scheduler:
    """Runs streams in the order of their clocks.

    Args:
        ranks: Number of ranks.
        tracing: Whether to keep what spans need.
        mortal: Ranks that will fail.
    """

    def __init__(self, ranks: int, tracing: bool, mortal: Collection[int] = ()):
        self.ranks = ranks
        self.mortal = mortal
        self.failed: dict[int, float] = {}  # rank -> when it failed, in s
        self.tracing = tracing
        self.deeds: list[Deed] = []
        self.streams: list[Stream] = []
        self.numbers: dict[int, set[int]] = defaultdict(set)  # streams in use, by rank
        self.ready: list[Any] = []  # heap of (clock, order, stream)
        self.hub = getcurrent()  # the greenlet that called simulate
        self.running: Stream = Stream(self, -1, 0, 0.0)
        self.failure: tuple[Stream, BaseException] | None = None
        self.unwinding: BaseException | None = None
        self.ended = False
        self.unjoined: dict[Stream, None] = {}  # in the order of spawning

    def add_stream(
        self, rank: int, clock: float, function: Callable[[], Any], number: int | None = None
    ) -> Stream:
        """Put a new stream in the queue. The hub must still start its greenlet.

        Args:
            rank: Whose stream it is.
            clock: When it begins, in s.
            function: What it runs. It takes no arguments: the C stack is copied at every switch, and Python calls a
                function without `*args` without using that stack.
            number: Which of the rank's streams it is; the first number that is free if None.
        """
        if number is None:
            number = next(n for n in itertools.count() if n not in self.numbers[rank])
        self.numbers[rank].add(number)
        stream = Stream(self, rank, number, clock)
        stream.greenlet = greenlet(self._live, parent=self.hub)
        stream.greenlet.gr_context = copy_context()  # rule 32
        stream.resume = lambda: stream.greenlet.switch(stream, function)
        self.streams.append(stream)
        heappush(self.ready, (clock, stream.order, stream))
        return stream

    def _live(self, stream: Stream, function: Callable[[], Any]) -> None:
        stream.resume = stream.greenlet.switch
        try:
            self.hub.switch()  # parked until its first turn: see run
            if self.ended:
                raise GreenletExit
            result = function()
            self._refuse_to_outlive(stream)
            stream.result = result
        except BaseException as error:
            if self.ended:  # GreenletExit, perhaps on top of an exception on its way through a `finally`
                if isinstance(error.__context__, Exception):
                    self.unwinding = error.__context__
            else:
                self._refuse_to_outlive(stream)
                self.failure = (stream, error)
        stream.ended = True
        if stream.joiner is not None:
            self.release(stream.joiner, stream.clock)

    def run(self) -> None:
        """Let the streams act until all have ended, one fails, or none can go on.

        A greenlet that another starts lies above it on the C stack, and a thousand such would overflow it. So
        only the hub starts greenlets; after that, streams switch to each other directly.
        """
        for stream in self.streams:
            stream.resume()
        while self.ready and self.failure is None:
            self.running = heappop(self.ready)[2]
            came = self.running.resume()
            while isinstance(came, Stream):  # the running stream has spawned this one
                came.resume()
                came = self.running.resume()
        if self.failure is not None:
            stream, error = self.failure
            line = f", stream {stream.number}" if stream.number else ""
            error.add_note(f"raised by rank {stream.rank} of {self.ranks}{line}")
            raise error
        if not all(stream.ended or stream.failed for stream in self.streams):
            raise deadlock(self.streams, self.failed)

    def _refuse_to_outlive(self, stream: Stream) -> None:
        """A stream whose clock has passed its rank's failure has not come to its end: the failure stops it first."""
        if stream.rank in self.mortal:
            self.turn()

    def close(self) -> None:
        """End every stream that is still alive; may be called again."""
        if self.ended:
            return
        self.ended = True
        self.ready = [ENDED]
        for stream in self.streams:
            if stream.greenlet:  # begun and not ended
                stream.greenlet.switch()  # it raises GreenletExit where it waits
            stream.greenlet = None
            stream.resume = _nothing
        self.failure = None

    def turn(self) -> Stream:
        """The running stream, as soon as no other that can act has a smaller clock (rule 29)."""
        stream = self.running
        ready = self.ready
        if ready and ready[0] < (stream.clock, stream.order):
            if self.ended:
                self._refuse_to_go_on()
            self.running = heappushpop(ready, (stream.clock, stream.order, stream))[2]
            self.running.resume()
            if self.ended:
                self._refuse_to_go_on()
        return stream

    def block(self, stream: Stream, call: str, reason: Any) -> None:
        """Let others act until the running stream's `pending` things have come; `wake` tells then when it goes on.

        Args:
            stream: The running stream.
            call: What it waits in, for the report.
            reason: What it waits for: requests, a Meeting, or a Stream to join.
        """
        if self.ended:
            self._refuse_to_go_on()
        if getcurrent() is not stream.greenlet:
            self.own_stream()
        stream.call = call
        stream.blocked_on = reason
        if self.ready:
            following = self.running = heappop(self.ready)[2]
            following.resume()
        else:
            self.hub.switch()
        if self.ended:
            self._refuse_to_go_on()

    def release(self, stream: Stream, time: float) -> None:
        """One of the things that `stream` waits for has come, and ends at `time`."""
        pending = stream.pending
        if not pending:
            self._wake_sooner(stream, time)
            return
        if time > stream.wake:
            stream.wake = time
        stream.pending = pending = pending - 1
        if not pending:
            heappush(self.ready, (stream.wake, stream.order, stream))

    def _wake_sooner(self, stream: Stream, time: float) -> None:
        """One of several things has come to a stream that goes on at the end of the first of them."""
        if time < stream.wake:
            self.withdraw(stream)
            stream.wake = time
            heappush(self.ready, (time, stream.order, stream))

    def withdraw(self, stream: Stream) -> None:
        """Take a stream out of the queue, if it is there."""
        left = [entry for entry in self.ready if entry[2] is not stream]
        if len(left) < len(self.ready):
            self.ready[:] = left
            heapify(self.ready)

    def _refuse_to_go_on(self) -> NoReturn:
        if getcurrent() is self.hub:
            raise RuntimeError("this communicator belongs to a simulation that has ended")
        raise GreenletExit

    def own_stream(self) -> Stream:
        """The running stream, if it is the one that asks.

        Raises:
            RuntimeError: If another thread asks, or a rank of another simulation.
        """
        stream = self.running
        if getcurrent() is stream.greenlet:
            return stream
        if self.ended:
            self._refuse_to_go_on()
        raise RuntimeError(
            f"rank {stream.rank}: its communicator was used by another thread, or inside another simulation; "
            "work beside a rank's main line is started by spawn(comm, function)"
        )

    def advance(self, stream: Stream, time: float, name: str, kind: str) -> None:
        """Move a stream's clock to `time`, if that is later, and keep what a span of it needs."""
        if time > stream.clock:
            if self.tracing:
                self.deeds.append((stream.rank, stream.number, name, stream.clock, time, kind))
            stream.clock = time

    def spawn(self, function: Callable[[], Any]) -> Stream:
        """Start another stream of the running stream's rank, at its clock (rule 31)."""
        if self.ended:
            self._refuse_to_go_on()
        parent = self.running
        stream = self.add_stream(parent.rank, parent.clock, function)
        self.unjoined[stream] = None
        self.hub.switch(stream)
        return stream

    def join(self, child: Stream) -> Any:
        """Wait for the end of a spawned stream and return its result."""
        stream, end = self.running, child.clock
        if not child.ended:
            child.joiner = stream
            stream.pending, stream.wake = 1, stream.clock
            self.block(stream, f"join of stream {child.number}", child)
            end = stream.wake
        self.advance(stream, end, "join", "wait")
        self.unjoined.pop(child, None)
        self.numbers[child.rank].discard(child.number)
        return child.result
