"""Messages in the simulated world: what is matched, how long it takes, and what all ranks do together.

The rules are those of docs/simulated-world.md; the comments give their numbers.
"""

import sys
from collections.abc import Iterable, Sequence
from heapq import heappush
from math import ceil, inf
from typing import TYPE_CHECKING, Any

import numpy as np

from parallel.cluster import Cluster
from parallel.comm.check import check_address, check_receive, check_send
from parallel.comm.context import Context
from parallel.comm.errors import ANY_SOURCE, ANY_TAG, LARGEST_TAG, PROC_NULL, DeadlockError
from parallel.comm.ghost import GhostError
from parallel.comm.inbox import Inbox
from parallel.comm.message import Mailbox, ReceiveRequest, SendRequest
from parallel.comm.request import Request
from parallel.comm.scheduler import Scheduler, Stream
from parallel.comm.source_line import call_site, here

if TYPE_CHECKING:
    from parallel.comm.failure import Listener
    from parallel.comm.member import Member

POLL_LIMIT = 1_000_000  # failed tests in a row before we say that nothing will come of it (rule 46)

# start, end, source, its stream, its call, dest, its stream, its call, bytes, tag, context: a plain tuple, since
# making two Spans of every message while the simulation runs would cost as much as the message
Transfer = tuple[float, float, int, int, str, int, int, str, int, int, str]


class World(Scheduler):
    """A simulated world: the scheduler of its streams, and its ports and messages.

    Args:
        ranks: Number of ranks.
        cluster: Its links and speeds.
        tracing: Whether to keep what is needed for spans.
        fidelity: "message" or "collective": see `simulate`.
    """

    def __init__(self, ranks: int, cluster: Cluster, tracing: bool, fidelity: str = "message"):
        super().__init__(ranks, tracing, cluster.failures)
        self.fidelity = fidelity
        self.cluster = cluster
        self.uniform = cluster.uniform
        if self.uniform:
            self.alpha, self.beta = cluster.alpha, cluster.beta
        self.out_free = [0.0] * ranks  # s, when each port is free again
        self.in_free = [0.0] * ranks
        self.shared_free = [0.0] * cluster.shared_ports
        self.context = Context(self, "world", range(ranks))
        self.polls = 0  # failed tests since something was posted
        self.messages = 0
        self.transfers: list[Transfer] = []
        self.listeners: list[Listener] = []  # who wants to hear of failures
        self.generators: dict[int, np.random.Generator] = {}  # of ranks that have drawn something
        self.freed: dict[Request, None] = {}  # requests of which nobody wants to know, and which nobody had answered
        self.open: dict[Request, None] = {}  # requests the program keeps and has not waited for, in order

    def generator(self, rank: int) -> np.random.Generator:
        """The random generator of `rank`: what one rank draws never changes the luck of another."""
        if rank not in self.generators:
            self.generators[rank] = np.random.default_rng([self.cluster.seed, rank])
        return self.generators[rank]

    def turn_to_post(self) -> Stream:
        """`turn`, for a call that posts something: a row of failed tests ends here (rules 24 and 46)."""
        stream = self.running
        ready = self.ready
        if ready and ready[0] < (stream.clock, stream.order):
            self.turn()
        self.polls = 0
        stream.polled_at = -inf
        return stream

    # ---- blocking calls: begin, post what is to be sent and received, settle

    def begin(self, call: str, pending: int) -> Stream:
        """Wait for the running stream's turn to make a blocking call of `pending` transfers."""
        stream = self.turn_to_post()
        stream.pending = pending
        stream.wake = stream.clock
        stream.sending.call = stream.receiving.call = call
        return stream

    def settle(self, stream: Stream, call: str, requests: Iterable[Request]) -> None:
        """Go on when all pending transfers are matched, at the end of the last (rule 22)."""
        if stream.pending:
            self.block(stream, call, requests)
        if self.tracing:
            self.advance(stream, stream.wake, call, "wait")
        else:
            stream.clock = stream.wake

    # ---- posting and matching

    def post_send(self, comm: "Member", send: SendRequest, buffer: Any, dest: int, tag: int) -> None:
        """Match a send with the first receive that fits, or leave it in the mailbox (rules 1 to 4)."""
        try:
            good = 0 <= dest | tag <= LARGEST_TAG  # holds for both, and only of integers there is a `|`
            good = good and buffer.flags.c_contiguous and not buffer.dtype.hasobject
            mailbox = comm.mailboxes[dest]
        except (TypeError, AttributeError, IndexError):
            good = False
        if not good:
            buffer = check_send(comm, send.call, buffer, dest, tag)
            mailbox = comm.mailboxes[dest]  # anybody's where dest is PROC_NULL: nothing is put into it
        send.buffer = buffer
        send.source = source = comm.rank
        send.tag = tag
        send.mailbox = mailbox
        send.end = None
        if dest < 0:
            self._nobody_answers(send)
            return
        for receive in mailbox.receives:
            if (receive.source == source or receive.source == ANY_SOURCE) and (
                receive.tag == tag or receive.tag == ANY_TAG
            ):
                mailbox.receives.remove(receive)
                self.match(send, receive)
                return
        mailbox.sends.append(send)
        if mailbox.probes:
            self._answer_probes(mailbox, send)

    def post_receive(self, comm: "Member", receive: ReceiveRequest, buffer: Any, source: int, tag: int) -> None:
        """Match a receive with the first send that fits, or leave it in the mailbox.

        The sends lie there in the order of posting, which is that of virtual time and rank (rules 3 and 29).
        """
        try:
            flags = buffer.flags
            good = flags.c_contiguous and flags.writeable
            good = good and ANY_SOURCE <= source < comm.size and ANY_TAG <= tag <= LARGEST_TAG
            good = good and source | tag >= ANY_TAG  # so they are integers
        except (TypeError, AttributeError):
            good = False
        if not good:
            buffer = check_receive(comm, receive.call, buffer, source, tag)
        mailbox = comm.mailbox
        receive.buffer = buffer
        receive.source = source
        receive.tag = tag
        receive.mailbox = mailbox
        receive.end = receive.failed = None
        if source == PROC_NULL:
            self._nobody_answers(receive)
            return
        for send in mailbox.sends:
            if (source == send.source or source == ANY_SOURCE) and (tag == send.tag or tag == ANY_TAG):
                mailbox.sends.remove(send)
                self.match(send, receive)
                return
        mailbox.receives.append(receive)

    def post_claimed(self, comm: "Member", receive: ReceiveRequest, buffer: Any, send: SendRequest | None) -> None:
        """Match a receive with the send that a matching probe has taken, None being that of PROC_NULL."""
        source, tag = (PROC_NULL, ANY_TAG) if send is None else (send.source, send.tag)
        receive.buffer = check_receive(comm, receive.call, buffer, source, tag)
        receive.source, receive.tag, receive.mailbox, receive.failed = source, tag, comm.mailbox, None
        if send is None:
            self._nobody_answers(receive)
        else:
            self.match(send, receive)

    def match(self, send: SendRequest, receive: ReceiveRequest) -> None:
        """Move the payload, reserve the ports, and wake those who wait (rules 5 to 9, 19 and 20)."""
        running = self.running
        start = end = running.clock
        source, dest, buffer = send.stream.rank, receive.stream.rank, send.buffer
        nbytes = buffer.nbytes
        if source != dest:  # else rule 8
            out_free, in_free = self.out_free, self.in_free
            if out_free[source] > start:
                start = out_free[source]
            if in_free[dest] > start:
                start = in_free[dest]
            if self.uniform:
                end = start + self.alpha + nbytes * self.beta
            else:
                start, end = self.pass_shared_ports(source, dest, nbytes, start)
            out_free[source] = in_free[dest] = end
        self.messages += 1
        receive.came = (send.source, send.tag, nbytes)
        receive.failed = deliver(buffer, receive.buffer)
        send.end = receive.end = end
        for waiter in (send.waiter, receive.waiter):
            if waiter is not running:
                if waiter is not None:
                    self.release(waiter, end)
            else:  # it has not begun to wait
                waiter.pending -= 1
                if end > waiter.wake:
                    waiter.wake = end
        if self.tracing:
            self.transfers.append(
                (start, end, source, send.stream.number, send.call, dest, receive.stream.number, receive.call,
                 nbytes, send.tag, send.mailbox.context.name)
            )  # fmt: skip

    def pass_shared_ports(self, source: int, dest: int, nbytes: int, start: float) -> tuple[float, float]:
        """When a transfer begins and ends on a link of its own price, or through ports that others use too.

        Args:
            source: World rank of the sender.
            dest: World rank of the receiver.
            nbytes: Length of the message.
            start: When it could begin as far as the two ranks' own ports go, in s.

        Returns:
            Its begin and its end, in s.
        """
        alpha, beta, ports = self.cluster.route(source, dest)
        free = self.shared_free
        for port in ports:
            if free[port] > start:
                start = free[port]
        end = start + alpha + nbytes * beta
        for port in ports:
            free[port] = end
        return start, end

    def _nobody_answers(self, request: SendRequest | ReceiveRequest) -> None:
        """What is sent to PROC_NULL, and received from it, is nothing, at once (rule 10)."""
        request.end = self.running.clock
        if isinstance(request, ReceiveRequest):
            request.came = (PROC_NULL, ANY_TAG, 0)
        if request.waiter is not None:
            request.waiter.pending -= 1

    def keep_open(self, request: Request) -> None:
        """Remember a request that the program has to wait for, and the line that made it (rule 43)."""
        request.posted_at = call_site(sys._getframe(2))
        self.open[request] = None

    # ---- probing: looking for a send without taking it

    def probe(self, comm: "Member", call: str, source: int, tag: int) -> SendRequest | None:
        """The first send that a receive would take now, None if there is none (rule 11)."""
        check_address(comm, call, source, tag)
        receive = self.running.receiving
        receive.call, receive.source, receive.tag, receive.mailbox = call, source, tag, comm.mailbox
        receive.end = None
        return next((send for send in comm.mailbox.sends if receive.fits(send)), None)

    def wait_for_send(self, comm: "Member", call: str, source: int, tag: int) -> SendRequest:
        """The same, waiting until there is one."""
        while True:
            stream = self.begin(call, 1)
            send = self.probe(comm, call, source, tag)
            if send is not None:
                return send
            comm.mailbox.probes.append(stream.receiving)
            self.settle(stream, call, (stream.receiving,))

    def _answer_probes(self, mailbox: Mailbox, send: SendRequest) -> None:
        for probe in [probe for probe in mailbox.probes if probe.fits(send)]:
            mailbox.probes.remove(probe)
            probe.end = self.running.clock
            self.release(probe.stream, probe.end)

    # ---- waiting for requests that the program keeps

    def wait(self, stream: Stream, call: str, requests: Iterable[Request]) -> None:
        """Go on when all requests are matched, at the end of the last transfer (rule 22)."""
        stream.pending, stream.wake = 0, stream.clock
        for request in requests:
            if request.end is None:
                request.waiter = stream
                stream.pending += 1
            elif request.end > stream.wake:
                stream.wake = request.end
        self.settle(stream, call, requests)

    def wait_for_one(self, stream: Stream, call: str, requests: Sequence[Request]) -> None:
        """Go on at the end of the transfer that ends first, of those matched by then (rule 14)."""
        stream.pending = 0  # so that `release` knows: the first to come will do
        stream.wake = min((request.end for request in requests if request.end is not None), default=inf)
        if stream.wake > stream.clock:
            for request in requests:
                request.waiter = stream
            if stream.wake < inf:
                heappush(self.ready, (stream.wake, stream.order, stream))
            self.block(stream, call, requests)
            for request in requests:
                request.waiter = None
        self.advance(stream, stream.wake, call, "wait")

    def poll_in_vain(self, stream: Stream, call: str, requests: Sequence[Request]) -> None:
        """Charge a failed test; in a row, wind forward to the next moment that can matter (rule 24).

        Args:
            stream: Who tests.
            call: What it calls.
            requests: What it tests.
        """
        self.polls += 1
        if self.polls >= POLL_LIMIT:
            tested = ", ".join(request.describe() for request in requests)
            raise DeadlockError(
                f"rank {stream.rank}: {tested if requests[0].call == call else f'{call} of {tested}'} failed, the "
                f"{self.polls}th test in a row to fail while nothing else was posted anywhere ({here()})"
            )
        poll, count = self.cluster.poll, 1
        if stream.clock == stream.polled_at:
            moments = [request.end for request in requests if request.end is not None and request.end > stream.clock]
            moment = min(moments + [entry[0] for entry in self.ready[:1]], default=inf)
            if stream.clock < moment < inf:
                count = max(1, ceil((moment - stream.clock) / poll))
        self.advance(stream, stream.clock + count * poll, call, "wait")
        stream.polled_at = stream.clock


def deliver(source: Any, dest: Any) -> str | None:
    """Copy a message from buffer to buffer; the one place where payload is touched.

    Returns:
        None, or why the message does not fit.
    """
    if source.dtype is not dest.dtype and source.dtype != dest.dtype:
        if isinstance(dest, Inbox):
            return f"the message is {source.dtype}, and recv takes what send has pickled"
        return f"the message is {source.dtype}, the buffer {dest.dtype}"
    try:
        if source.size == dest.size:
            dest[...] = source if source.ndim == dest.ndim == 1 else source.reshape(dest.shape)
        elif source.size < dest.size:
            dest.reshape(-1)[: source.size] = source.reshape(-1)
        else:
            return f"message truncated: it has {source.nbytes} bytes, the buffer {dest.nbytes}"
    except GhostError:
        return f"the message is a {type(source).__name__}, the buffer a {type(dest).__name__}"
    return None
