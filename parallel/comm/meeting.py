"""Where all ranks of a communicator meet: one call of all of them, with what each brings and what it costs.

Barriers, MPI's own collectives, and whole hand-written collectives at collective fidelity are meetings. The last to
come settles it for everybody: payload, price, and whether all made the same call.
"""

import sys
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from parallel.comm.collective_price import Price
from parallel.comm.errors import MismatchError
from parallel.comm.request import Request
from parallel.comm.source_line import call_site, line_of

if TYPE_CHECKING:
    from parallel.comm.context import Context
    from parallel.comm.member import Member
    from parallel.comm.scheduler import Stream

SHOWN = 8  # ranks that a report names one by one


class Signature(NamedTuple):
    """What must be the same on all ranks.

    Args:
        call: "Allreduce", or the name that a hand-written collective gave.
        count: Number of elements, or one number for each rank; None if ranks may differ.
        dtype: Of the elements.
        op: The operation of a reduction.
        root: The rank that sends to all or receives from all.
        ghost: Whether the buffers are ghosts.
    """

    call: str
    count: Any = None
    dtype: np.dtype[Any] | None = None
    op: Any = None
    root: int | None = None
    ghost: bool = False

    def __str__(self) -> str:
        """For example "Reduce of 8 float64 with SUM to root 0"."""
        count = "" if self.count is None else f" of {self.count}"
        dtype = "" if self.dtype is None else f" {self.dtype}{' (ghost)' if self.ghost else ''}"
        op = "" if self.op is None else f" with {self.op}"
        return f"{self.call}{count}{dtype}{op}" + ("" if self.root is None else f", root {self.root}")


class Joint(NamedTuple):
    """A rank's side of a call that all make together.

    Args:
        signature: What must agree.
        part: What this rank brings, and where it wants the result.
        combine: Called once with the parts of all ranks, in the order of the ranks: moves the payload, and returns the
            number of bytes that the price is asked for.
        price: Seconds from the last arrival to the end.
        holds_ports: Whether every member's ports are busy meanwhile.
    """

    signature: Signature
    part: Any
    combine: Callable[[list[Any]], int]
    price: Price
    holds_ports: bool = True


class Disagreement(Exception):
    """Two ranks' parts do not fit together; raised by `combine`.

    Args:
        first: A rank of the communicator.
        second: Another.
        text: "sends 3 elements", said of `second`, and what `first` expects.
    """

    def __init__(self, first: int, second: int, text: str):
        super().__init__(text)
        self.first, self.second = first, second


class Meeting:
    """One call of all ranks of a communicator."""

    __slots__ = ("came", "context", "latest", "parts", "requests", "signature")

    def __init__(self, context: "Context", signature: Signature):
        self.context = context
        self.signature = signature
        self.parts: list[Any] = [None] * len(context.members)  # by rank
        self.came: list[Stream] = []  # those who have come so far
        self.latest = 0.0  # s, when the last of them came
        self.requests: list[CollectiveRequest] = []  # theirs, if the call does not wait

    def missing(self) -> tuple[int, ...]:
        """World ranks that have not come."""
        return tuple(sorted(set(self.context.members) - {stream.rank for stream in self.came}))

    def describe(self, call: str) -> str:
        """For example "Allreduce in world/split0.1 for ranks 1, 2"."""
        context, missing = self.context, self.missing()
        inside = "" if context is context.world.context else f" in {context.name}"
        return f"{call}{inside} for rank{'s' * (len(missing) > 1)} {some(missing)}"

    def line(self, rank: int) -> str:
        """The line of the program at which a rank that has come is, or posted its request."""
        index = next(i for i, stream in enumerate(self.came) if stream.rank == self.context.members[rank])
        if self.requests:
            return line_of(self.requests[index].posted_at)
        stream = self.came[index]
        running = stream is self.context.world.running
        return line_of(call_site(sys._getframe(1) if running else stream.greenlet.gr_frame))


class CollectiveRequest(Request):
    """What Iallreduce and its kin return; it is complete when all have come and the price has been paid.

    Args:
        stream: Who started it.
        meeting: Of which call.
    """

    __slots__ = ("meeting",)

    def __init__(self, stream: "Stream", meeting: Meeting):
        super().__init__(stream, meeting.signature.call)
        self.meeting = meeting

    def peers(self) -> tuple[int, ...]:
        """Those who have not come yet."""
        return self.meeting.missing()

    def describe(self) -> str:
        """For example "Iallreduce for rank 3"."""
        return self.meeting.describe(self.call) if self.end is None else self.call


def some(ranks: tuple[int, ...]) -> str:
    """Ranks in words: the first few of them, and how many there are.

    >>> some((4, 5)), some(tuple(range(1000)))
    ('4, 5', '0, 1, 2, 3, 4, 5, 6, 7 and 992 more')
    """
    text = ", ".join(map(str, ranks[:SHOWN]))
    return text if len(ranks) <= SHOWN else f"{text} and {len(ranks) - SHOWN} more"


def meet(comm: "Member", joint: Joint) -> None:
    """Make a call together with all other ranks, and wait for its end (rules 25 and 45).

    It does not matter in which order those come who will wait anyway, so they need not wait for their turn to come,
    which is half of the switches. The meeting is settled in its turn, at the time of the last arrival (rule 29).
    """
    world = comm.world
    stream = world.turn_to_post() if world.mortal else world.own_stream()
    world.polls = 0
    stream.polled_at = -inf
    arrived, call = stream.clock, joint.signature.call
    meeting = _arrive(comm, stream, joint)
    if len(meeting.came) < comm.size:
        stream.pending, stream.wake = 1, arrived
        world.block(stream, call, meeting)
        end = stream.wake
    else:
        stream.clock = meeting.latest
        world.turn_to_post()
        end = _settle(comm, meeting, joint)[1]
        for other in meeting.came[:-1]:
            world.release(other, end)
        stream.clock = arrived
    world.advance(stream, end, call, "collective")


def start(comm: "Member", joint: Joint) -> CollectiveRequest:
    """Make a call together with all other ranks without waiting.

    Returns:
        A request, complete at the end of the call.
    """
    world = comm.world
    stream = world.turn_to_post()
    meeting = _arrive(comm, stream, joint)
    request = CollectiveRequest(stream, meeting)
    meeting.requests.append(request)
    world.keep_open(request)
    if len(meeting.came) == comm.size:
        begin, end = _settle(comm, meeting, joint)
        for member in meeting.requests:
            member.end = end
            if member.waiter is not None:
                world.release(member.waiter, end)
        if world.tracing:
            call = joint.signature.call
            for other in meeting.came:
                world.deeds.append((other.rank, other.number, call, begin, end, "collective"))
    return request


def _arrive(comm: "Member", stream: "Stream", joint: Joint) -> Meeting:
    meetings = comm.context.meetings
    number = comm._meetings
    comm._meetings = number + 1
    meeting = meetings.get(number)
    if meeting is None:
        meeting = meetings[number] = Meeting(comm.context, joint.signature)
    elif meeting.signature != joint.signature:
        raise _mismatch(comm, meeting, joint.signature)
    meeting.parts[comm.rank] = joint.part
    meeting.came.append(stream)
    if stream.clock > meeting.latest:
        meeting.latest = stream.clock
    if len(meeting.came) == comm.size:
        del meetings[number]
    return meeting


def _settle(comm: "Member", meeting: Meeting, joint: Joint) -> tuple[float, float]:
    """Move the payload, and find when the call begins and ends: from the last arrival, and when ports are free."""
    world, members = comm.world, comm.context.members
    begin = world.running.clock
    nbytes = _combine(comm, meeting, joint)
    seconds = joint.price(comm.size, nbytes, *comm.context.worst_link())
    meeting.parts = []  # they may be large, and requests live on
    if not joint.holds_ports or seconds <= 0:
        return begin, begin + seconds
    out_free, in_free = world.out_free, world.in_free
    for member in members:
        if out_free[member] > begin:
            begin = out_free[member]
        if in_free[member] > begin:
            begin = in_free[member]
    end = begin + seconds
    for member in members:
        out_free[member] = in_free[member] = end
    return begin, end


def _combine(comm: "Member", meeting: Meeting, joint: Joint) -> int:
    try:
        return joint.combine(meeting.parts)
    except Disagreement as fault:
        members = comm.context.members
        raise MismatchError(
            f"{joint.signature.call}: rank {members[fault.second]} {fault} "
            f"(rank {members[fault.second]} at {_line(comm, meeting, fault.second)}, "
            f"rank {members[fault.first]} at {_line(comm, meeting, fault.first)})"
        ) from None


def _line(comm: "Member", meeting: Meeting, rank: int) -> str:
    return line_of(call_site(sys._getframe(1))) if rank == comm.rank else meeting.line(rank)


def _mismatch(comm: "Member", meeting: Meeting, signature: Signature) -> MismatchError:
    """The error that names two ranks, what each of them called, and at which lines."""
    first, context = meeting.came[0], comm.context
    theirs = meeting.signature
    mine = line_of(call_site(sys._getframe(1)))
    inside = "" if context is context.world.context else f" on {context.name}"
    names = ("operation", "size", "dtype", "reduction", "root", "kind of buffer")
    differ = [name for name, a, b in zip(names, signature, theirs, strict=True) if a != b]
    what = " and ".join(differ)
    if signature.call != theirs.call:  # what a hand-written collective must agree on is in its name, in parentheses
        same_name = signature.call.partition("(")[0] == theirs.call.partition("(")[0]
        what = "what stands in parentheses" if same_name else differ[0]
    return MismatchError(
        f"rank {context.members[comm.rank]} calls {signature} ({mine}) where rank {first.rank} calls {theirs} "
        f"({meeting.line(context.rank_of(first.rank))}){inside}; "
        f"all ranks have to make the same calls in the same order, and these differ in {what}"
    )
