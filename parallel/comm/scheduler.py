"""Who acts next in the simulated world: streams, their clocks, and the queue of those that can go on.

The rules are those of docs/simulated-world.md; the comments give their numbers.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable
from contextvars import copy_context
from heapq import heappop, heappush, heappushpop
from math import inf
from typing import Any, NoReturn

from greenlet import GreenletExit, getcurrent, greenlet

from parallel.comm.deadlock import deadlock

# rank, stream, name, start, end, kind: a Span in the making, as a tuple, which is made faster
Deed = tuple[int, int, str, float, float, str]
ENDED = (-inf,)  # sorts before every stream: makes `turn` look up when the world has ended


class Stream:
    """One line of execution of a rank: a greenlet and its clock."""

    __slots__ = (
        "blocked_on", "call", "clock", "ended", "greenlet", "joiner", "label", "number", "pending", "polled_at",
        "rank", "result", "resume", "wake",
    )  # fmt: skip

    def __init__(self, rank: int, number: int, clock: float):
        self.rank = rank
        self.number = number
        self.clock = clock  # s
        self.pending = 0  # how many things it still waits for
        self.wake = clock  # when it can go on, as far as known
        self.call = ""  # what it is blocked in, for the report
        self.blocked_on: Any = ()  # requests, a Meeting, or a Stream to join
        self.polled_at = -inf  # clock after its latest failed test
        self.label = ""  # name of the region it is in, for its spans
        self.joiner: Stream | None = None
        self.ended = False
        self.result: Any = None
        self.greenlet: Any = None
        self.resume: Callable[..., Any] = _nothing


def _nothing() -> None:
    """What a stream without greenlet does when it is resumed."""


class Scheduler:
    """Runs streams in the order of their clocks.

    Args:
        ranks: Number of ranks.
        tracing: Whether to keep what spans need.
    """

    def __init__(self, ranks: int, tracing: bool):
        self.ranks = ranks
        self.tracing = tracing
        self.deeds: list[Deed] = []
        self.streams: list[Stream] = []
        self.numbers: dict[int, set[int]] = defaultdict(set)  # streams in use, by rank
        self.ready: list[Any] = []  # heap of (clock, rank, number, stream)
        self.hub = getcurrent()  # the greenlet that called simulate
        self.running: Stream = Stream(-1, 0, 0.0)
        self.failure: tuple[Stream, BaseException] | None = None
        self.unwinding: BaseException | None = None
        self.ended = False
        self.unjoined: dict[Stream, None] = {}  # in the order of spawning

    def add_stream(self, rank: int, clock: float, function: Callable[..., Any], *args: Any) -> Stream:
        """Put a new stream in the queue. The hub must still start its greenlet."""
        number = next(n for n in itertools.count() if n not in self.numbers[rank])
        self.numbers[rank].add(number)
        stream = Stream(rank, number, clock)
        stream.greenlet = greenlet(self._live, parent=self.hub)
        stream.greenlet.gr_context = copy_context()  # rule 21
        stream.resume = lambda: stream.greenlet.switch(stream, function, args)
        self.streams.append(stream)
        heappush(self.ready, (clock, rank, number, stream))
        return stream

    def _live(self, stream: Stream, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        stream.resume = stream.greenlet.switch
        try:
            self.hub.switch()  # parked until its first turn: see run
            if self.ended:
                raise GreenletExit
            stream.result = function(*args)
        except BaseException as error:
            if self.ended:  # GreenletExit, perhaps on top of an exception on its way through a `finally`
                if isinstance(error.__context__, Exception):
                    self.unwinding = error.__context__
            else:
                self.failure = (stream, error)
        stream.ended = True
        if stream.joiner is not None:
            self._release(stream.joiner, stream.clock)

    def run(self) -> None:
        """Let the streams act until all have ended, one fails, or none can go on.

        A greenlet that another starts lies above it on the C stack, and a thousand such would overflow it. So
        only the hub starts greenlets; after that, streams switch to each other directly.
        """
        for stream in self.streams:
            stream.resume()
        while self.ready and self.failure is None:
            self.running = heappop(self.ready)[3]
            came = self.running.resume()
            while isinstance(came, Stream):  # the running stream has spawned this one
                came.resume()
                came = self.running.resume()
        if self.failure is not None:
            stream, error = self.failure
            line = f", stream {stream.number}" if stream.number else ""
            error.add_note(f"raised by rank {stream.rank} of {self.ranks}{line}")
            raise error
        if not all(stream.ended for stream in self.streams):
            raise deadlock(self.streams)

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
        """The running stream, as soon as no other that can act has a smaller clock (rule 18)."""
        stream = self.running
        ready = self.ready
        if ready and ready[0] < (stream.clock, stream.rank, stream.number):
            if self.ended:
                self._refuse_to_go_on()
            self.running = heappushpop(ready, (stream.clock, stream.rank, stream.number, stream))[3]
            self.running.resume()
            if self.ended:
                self._refuse_to_go_on()
        return stream

    def _block(self, stream: Stream, call: str, reason: Any, pending: int, wake: float) -> float:
        """Let others act until `pending` things have come for the running stream.

        Returns:
            When the last of them ended, not before `wake`.
        """
        if self.ended:
            self._refuse_to_go_on()
        stream.call = call
        stream.blocked_on = reason
        stream.pending = pending
        stream.wake = wake
        if self.ready:
            following = self.running = heappop(self.ready)[3]
            following.resume()
        else:
            self.hub.switch()
        if self.ended:
            self._refuse_to_go_on()
        stream.blocked_on = ()
        return stream.wake

    def _release(self, stream: Stream, time: float) -> None:
        """One of the things `stream` waits for has come, and ends at `time`."""
        if time > stream.wake:
            stream.wake = time
        stream.pending -= 1
        if not stream.pending:
            heappush(self.ready, (stream.wake, stream.rank, stream.number, stream))

    def _refuse_to_go_on(self) -> NoReturn:
        if getcurrent() is self.hub:
            raise RuntimeError("this communicator belongs to a simulation that has ended")
        raise GreenletExit

    def advance(self, stream: Stream, time: float, name: str, kind: str) -> None:
        """Move a stream's clock to `time`, if that is later, and keep what a span of it needs."""
        if time > stream.clock:
            if self.tracing:
                self.deeds.append((stream.rank, stream.number, name, stream.clock, time, kind))
            stream.clock = time

    def spawn(self, function: Callable[..., Any], *args: Any) -> Stream:
        """Start another stream of the running stream's rank, at its clock (rule 20)."""
        if self.ended:
            self._refuse_to_go_on()
        parent = self.running
        stream = self.add_stream(parent.rank, parent.clock, function, *args)
        self.unjoined[stream] = None
        self.hub.switch(stream)
        return stream

    def join(self, child: Stream) -> Any:
        """Wait for the end of a spawned stream and return its result."""
        stream, end = self.running, child.clock
        if not child.ended:
            child.joiner = stream
            end = self._block(stream, f"join of stream {child.number}", child, 1, stream.clock)
        self.advance(stream, end, "join", "wait")
        self.unjoined.pop(child, None)
        self.numbers[child.rank].discard(child.number)
        return child.result
