"""Programs of messages that must do the same simulated and under mpirun; each returns what it saw.

Every program runs on 2 or more ranks. Rank 0 and rank 1 talk, or all pass something around a ring; none depends on
which of two messages is faster. `MPI` is mpi4py's module: its constants and types are taken in both worlds.
"""

from array import array as python_array
from collections.abc import Callable
from typing import Any

import numpy as np

ANY = -1  # ANY_SOURCE and ANY_TAG
PROC_NULL = -2
UNDEFINED = -32766


def ring_of(comm: Any) -> tuple[int, int, int]:
    """Own rank, right and left neighbour."""
    size, rank = comm.Get_size(), comm.Get_rank()
    return rank, (rank + 1) % size, (rank - 1) % size


def seen(status: Any) -> tuple[int, int, int, bool]:
    """Source, tag, bytes, and whether it was cancelled."""
    assert (status.Get_source(), status.Get_tag(), status.Get_count()) == (status.source, status.tag, status.count)
    return status.source, status.tag, status.count, status.Is_cancelled()


# ---- buffers


def buffer_forms(comm: Any, MPI: Any) -> list[Any]:
    """The same six numbers in every form in which a send and a receive may name them."""
    rank, right, left = ring_of(comm)
    x = np.arange(6, dtype="f8") + 10 * rank
    got = []
    for sent in (
        x, (x, 6), [x, MPI.DOUBLE], [x, 6, MPI.DOUBLE], [x, "d"], [x, (6, 0)], [x, (6, 0), MPI.DOUBLE],
        [x, 6, 0, MPI.DOUBLE], [x, None], np.asfortranarray(x.reshape(2, 3).T).T, memoryview(x), python_array("d", x),
    ):  # fmt: skip
        y = np.full(8, -1.0)
        request = comm.Isend(sent, right)
        comm.Recv(y, left)
        request.Wait()
        got.append(y.tolist())
    for place in (
        lambda y: [y, 6], lambda y: [y, MPI.DOUBLE], lambda y: [y, (6, 1)], lambda y: [y, (6, 2), MPI.DOUBLE],
        lambda y: [y, 6, 1, "d"], memoryview,
    ):  # fmt: skip
        y = np.full(8, -1.0)
        comm.Sendrecv(x, right, 0, place(y), left, 0)
        got.append(y.tolist())
    return got


def parts(comm: Any, MPI: Any) -> list[Any]:
    """Some of the elements: a count, and a displacement counted in elements."""
    rank, right, left = ring_of(comm)
    x = np.arange(6, dtype="i4") + 10 * rank
    got = []
    for sent in ([x, 2], [x, (3, 2)], [x, (1, 5), MPI.INT], [x, 0], [x, (0, 6)]):
        y = np.full(6, -1, "i4")
        status = new_status(comm, MPI)
        comm.Sendrecv(sent, right, 0, y, left, 0, status)
        got.append((y.tolist(), status.Get_count(MPI.INT), status.Get_elements(MPI.INT), status.Get_count(MPI.DOUBLE)))
    return got


def raw_bytes(comm: Any, MPI: Any) -> list[Any]:
    """bytes, bytearrays, and arrays named as bytes."""
    rank, right, left = ring_of(comm)
    room, x, y = bytearray(5), np.arange(3, dtype="f4") + rank, np.zeros(3, "f4")
    comm.Sendrecv(bytes([rank] * 3), right, 1, room, left, 1)
    comm.Sendrecv([x, MPI.BYTE], right, 2, [y, MPI.BYTE], left, 2)
    return [bytes(room), y.tolist()]


def new_status(comm: Any, MPI: Any) -> Any:
    """A status for this communicator."""
    return comm.new_status() if hasattr(comm, "new_status") else MPI.Status()


# ---- nobody


def nobody(comm: Any, MPI: Any) -> list[Any]:
    """A line instead of a ring: the ends talk to PROC_NULL."""
    rank, size = comm.Get_rank(), comm.Get_size()
    right = rank + 1 if rank + 1 < size else PROC_NULL
    left = rank - 1 if rank > 0 else PROC_NULL
    x, y, status = np.full(2, rank), np.full(2, -1), new_status(comm, MPI)
    comm.Sendrecv(x, right, 7, y, left, 7, status)
    got: list[Any] = [y.tolist(), seen(status)]
    comm.Send(None, PROC_NULL)
    comm.Recv(None, PROC_NULL, 5, status)
    got.append(seen(status))
    requests = [comm.Isend(x, PROC_NULL), comm.Irecv(y, PROC_NULL)]
    got.append(type(requests[0]).Waitall(requests))
    comm.Probe(PROC_NULL, status=status)
    got += [seen(status), comm.Iprobe(PROC_NULL), comm.recv(source=PROC_NULL), comm.sendrecv(rank, right, source=left)]
    comm.send("lost", PROC_NULL)
    return got


# ---- both at once


def replace(comm: Any, MPI: Any) -> list[Any]:
    """Sendrecv_replace around the ring, until everybody has seen every number."""
    rank, right, left = ring_of(comm)
    x, got, status = np.array([rank, rank * rank]), [], new_status(comm, MPI)
    for _ in range(comm.Get_size()):
        comm.Sendrecv_replace(x, right, 3, left, 3, status)
        got.append((x.tolist(), seen(status)))
    comm.Sendrecv_replace([x, 1], right, 3, left, 3)
    return [*got, x.tolist()]


def synchronous(comm: Any, MPI: Any) -> int:
    """Ssend, Issend, ssend and issend."""
    rank, right, left = ring_of(comm)
    x = np.zeros(1, np.int64)
    request = comm.Issend(np.array([rank]), right)
    comm.Recv(x, left)
    request.Wait()
    request = comm.issend(rank, right)
    total = int(x[0]) + comm.recv(source=left)
    request.wait()
    if rank == 0:
        comm.Ssend(x, 1)
        comm.ssend("end", 1)
    elif rank == 1:
        comm.Recv(x, 0)
        assert comm.recv(source=0) == "end"
    return int(total)


# ---- objects


def objects(comm: Any, MPI: Any) -> list[Any]:
    """Everything that pickles, by every call in small letters."""
    rank, right, left = ring_of(comm)
    thing = {"rank": rank, "list": [1, (2, 3)], "array": np.arange(rank + 1), "text": "ä" * rank}
    status, got = new_status(comm, MPI), []
    request = comm.isend(thing, right, 11)
    thing["rank"] = "changed after it was pickled"
    got.append(comm.recv(None, left, 11, status))
    assert request.wait() is None
    assert status.Get_source() == left
    got.append(comm.sendrecv(None, right, 1, source=left, recvtag=1))
    incoming = comm.irecv(source=left, tag=2)
    comm.isend([rank], right, 2).wait()
    got.append(incoming.wait())
    incoming, outgoing = comm.irecv(bytearray(100_000), left, 3), comm.isend("x" * 50_000, right, 3)
    received = MPI_waitall(outgoing, [outgoing, incoming])
    got.append((received[0], len(received[1])))
    incoming, outgoing = comm.irecv(source=left), comm.isend(rank, right)
    while not (answer := incoming.test())[0]:
        pass
    outgoing.wait()
    got += [answer, incoming.test(), outgoing.test(), incoming.wait()]
    return [repr(item) for item in got]


def MPI_waitall(request: Any, requests: list[Any]) -> Any:
    """`waitall` of the requests' own class."""
    return type(request).waitall(requests)


# ---- requests


def objects_of_several(comm: Any, MPI: Any) -> list[Any]:
    """The calls in small letters that give the objects of several requests, and what they say when there are none."""
    rank, p = comm.Get_rank(), comm.Get_size()
    right, left = (rank + 1) % p, (rank - 1) % p
    kind = MPI.Request if not hasattr(comm, "new_status") else request_class()
    got: list[Any] = [kind.waitany([]), kind.waitsome([]), kind.testany([]), kind.testsome([]), kind.testall([])]

    def begun() -> list[Any]:
        receives = [comm.irecv(source=left, tag=tag) for tag in range(3)]
        kind.waitall([comm.isend((rank, tag), right, tag) for tag in range(3)])
        return receives

    requests, several = begun(), []
    while (found := kind.waitany(requests))[0] >= 0:  # UNDEFINED is negative
        several.append(found)
    got.append(sorted(several))
    requests, several = begun(), []
    while (some := kind.waitsome(requests))[0] is not None:
        several += zip(*some, strict=True)
    got.append(sorted(several))
    requests, several = begun(), []
    while len(several) < 3:
        index, ended, thing = kind.testany(requests)
        several += [(index, thing)] if ended else []
    got.append(sorted(several))
    requests, several = begun(), []
    while len(several) < 3:
        indices, things = kind.testsome(requests)
        several += zip(indices, things, strict=True) if indices else []
    got.append(sorted(several))
    requests = begun()
    while not (all_of_them := kind.testall(requests))[0]:
        pass
    got += [all_of_them, kind.testany(requests), kind.testsome(requests), kind.testall(requests)]
    comm.Barrier()
    return [repr(item) for item in got]


def waiting_for_one(comm: Any, MPI: Any) -> list[Any]:
    """Waitany, Waitsome and their tests, on requests that end in a certain order."""
    rank = comm.Get_rank()
    kind, statuses = MPI.Request if not hasattr(comm, "new_status") else request_class(), []
    if rank > 1:
        return []
    other = 1 - rank
    got: list[Any] = [kind.Waitany([]), kind.Waitsome([]), kind.Testany([]), kind.Testall([]), kind.Testsome([])]
    x = np.full((3, 1), -1)
    receives = [comm.Irecv(x[tag], other, tag) for tag in range(3)]
    got += [kind.Testany(receives), kind.Testall(receives), kind.Testsome(receives), receives[0].Get_status()]
    handshake(comm, other)
    comm.Send(np.array([5]), other, 1) if rank == 0 else None
    if rank == 1:
        status = new_status(comm, MPI)
        got += [kind.Waitany(receives, status), seen(status), x.tolist()]
        comm.Send(np.array([6]), other, 2)
    else:
        statuses = [new_status(comm, MPI) for _ in range(3)]
        got += [kind.Waitsome(receives, statuses), seen(statuses[0]), x.tolist()]
    handshake(comm, other)
    for tag in range(3):
        if (rank, tag) not in ((0, 1), (1, 2)):
            comm.Isend(np.array([10 * rank + tag]), other, tag).Wait()
    kind.Waitall(receives)
    got += [x.tolist(), kind.Waitany(receives), kind.Testany(receives), kind.Waitsome(receives), kind.Testall(receives)]
    return got


def request_class() -> Any:
    """The class of simulated requests."""
    from parallel.comm.request import Request

    return Request


def handshake(comm: Any, other: int) -> None:
    """Wait until the other rank is here."""
    comm.Sendrecv(b"", other, 99, bytearray(0), other, 99)


def cancelling(comm: Any, MPI: Any) -> list[Any]:
    """A receive that nobody answers is taken back; one that has its message is not."""
    rank, right, left = ring_of(comm)
    x, status = np.full(1, -1), new_status(comm, MPI)
    lonely = comm.Irecv(x, left, 77)
    lonely.Cancel()
    lonely.Wait(status)
    got = [status.Is_cancelled(), x.tolist()]
    request = comm.Irecv(x, left, 78)
    comm.Send(np.array([rank]), right, 78) if rank == 0 else None
    while not request.Get_status(status):
        pass
    request.Cancel()
    request.Wait(status)
    got += [seen(status), x.tolist(), request.Test(), request.Get_status()]
    comm.Send(np.array([rank]), right, 78) if rank else None
    last = comm.Isend(x, PROC_NULL)
    last.Free()
    return got


def persistent(comm: Any, MPI: Any) -> list[Any]:
    """The ring again, with requests that are described once."""
    rank, right, left = ring_of(comm)
    x, y, got, status = np.array([rank]), np.array([-1]), [], new_status(comm, MPI)
    requests = [comm.Recv_init(y, left, 4), comm.Send_init(x, right, 4)]
    assert requests[0].Test()  # neither has begun
    for step in range(4):
        type(requests[0]).Startall(requests)
        if step % 2:
            type(requests[0]).Waitall(requests)
        else:
            requests[0].Wait(status)
            requests[1].Wait()
            got.append(seen(status))
        got.append(int(y[0]))
        x[0] = y[0]
    synchronous = comm.Ssend_init(x, right)
    synchronous.Start()
    comm.Recv(y, left)
    synchronous.Wait()
    for request in (*requests, synchronous):
        request.Free()
    return [*got, int(y[0])]


# ---- probes


def probing(comm: Any, MPI: Any) -> list[Any]:
    """A message is looked at, measured, and then received; a claimed one is nobody else's."""
    rank, right, left = ring_of(comm)
    status, got = new_status(comm, MPI), []
    requests = [comm.Isend(np.arange(rank + 1), right, tag) for tag in (8, 8, 9)]
    assert comm.Probe(left, ANY, status)
    got.append(seen(status))
    x = np.empty(status.Get_count(MPI.LONG), np.int64)
    comm.Recv(x, status.source, status.tag)
    got.append(x.tolist())
    while not comm.Iprobe(ANY, 9, status):
        pass
    got += [seen(status), comm.Iprobe(left, 1)]
    message = comm.Mprobe(left, ANY, status)
    comm.Recv(x, left, 9)
    message.Recv(x, status)
    got += [seen(status), x.tolist(), comm.Improbe(left, 8)]
    type(requests[0]).Waitall(requests)
    requests = [comm.isend({"from": rank}, right, tag) for tag in (5, 6)]
    message = comm.mprobe(left, 6)
    got += [comm.recv(source=left), message.recv()]
    type(requests[0]).Waitall(requests)
    return got


PROGRAMS: tuple[Callable[..., Any], ...] = (
    buffer_forms, parts, raw_bytes, nobody, replace, synchronous, objects, objects_of_several, waiting_for_one,
    cancelling, persistent, probing,
)  # fmt: skip


# ---- calls that are refused in both worlds

BAD_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "dest out of range": lambda comm, MPI: comm.Send(np.zeros(1), comm.Get_size()),
    "negative dest": lambda comm, MPI: comm.Send(np.zeros(1), -7),
    "negative tag": lambda comm, MPI: comm.Send(np.zeros(1), 0, -3),
    "tag beyond an int of C": lambda comm, MPI: comm.Send(np.zeros(1), 0, 2**31),
    "expected tag beyond an int of C": lambda comm, MPI: comm.Recv(np.zeros(1), 0, 2**40),
    "source out of range": lambda comm, MPI: comm.Recv(np.zeros(1), comm.Get_size()),
    "dest is no integer": lambda comm, MPI: comm.Send(np.zeros(1), "next"),
    "not contiguous": lambda comm, MPI: comm.Send(np.zeros((4, 4))[:, 1], 0),
    "read-only": lambda comm, MPI: comm.Recv(np.broadcast_to(1.0, (3,)), 0),
    "objects": lambda comm, MPI: comm.Send(np.array([{}]), 0),
    "no buffer": lambda comm, MPI: comm.Send(5, 0),
    "negative count": lambda comm, MPI: comm.Send([np.zeros(2), -1], 0),
    "no such type": lambda comm, MPI: comm.Send([np.zeros(2), "no type"], 0),
    "NumPy's long name of a type": lambda comm, MPI: comm.Send([np.zeros(2), "float64"], 0),
    "what cannot be pickled": lambda comm, MPI: comm.send(lambda: None, 0),
    "started twice": lambda comm, MPI: _start_twice(comm),
}


def _start_twice(comm: Any) -> None:
    request = comm.Recv_init(np.zeros(1), comm.Get_rank(), 66)
    request.Start()
    try:
        request.Start()
    finally:
        comm.Send(np.zeros(1), comm.Get_rank(), 66)
        request.Wait()


def truncated(comm: Any) -> str:
    """Rank 0 sends rank 1 more than there is room for; returns the kind of error, and nothing is left over."""
    rank = comm.Get_rank()
    answer = "none"
    if rank == 0:
        comm.Send(np.arange(4.0), 1)
    elif rank == 1:
        try:
            comm.Recv(np.zeros(2), 0)
        except Exception as error:
            answer = "truncated" if "trunc" in str(error).lower() else repr(error)
    return answer
