"""One rank's side of each of MPI's collectives: its buffers looked at, what must agree, and what it will cost.

The blocking call and its non-blocking form have the same side; see sim_collectives.py for the calls.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from parallel.comm import collective_moves as moves
from parallel.comm import collective_price as price
from parallel.comm.buffers import Blocks, Place, flat, for_each_rank, in_place
from parallel.comm.ghost import Ghost
from parallel.comm.meeting import Joint, Signature
from parallel.comm.member import Member
from parallel.comm.reductions import Op, operation


def barrier(comm: Member, call: str) -> Joint:
    """Nothing to move."""
    return Joint(Signature(call), None, _nothing, price.barrier, holds_ports=False)


def bcast(comm: Member, call: str, buf: Any, root: int) -> Joint:
    """Everybody has one buffer."""
    root = check_root(comm, call, root)
    buffer = _flat(comm, call, "buf", buf, writable=comm.rank != root)
    signature = Signature(call, buffer.size, buffer.dtype, None, root, _is_ghost(buffer))
    return _joint(signature, buffer, buffer, buffer.nbytes, price.broadcast, moves.broadcast, root)


# ---- reductions


def reduce(comm: Member, call: str, sendbuf: Any, recvbuf: Any, op: Any, root: int) -> Joint:
    """The result is the root's."""
    root, op = check_root(comm, call, root), operation_for(comm, call, op)
    if comm.rank == root:
        send, recv = _pair(comm, call, sendbuf, recvbuf)
    else:
        send, recv = _flat(comm, call, "sendbuf", sendbuf), None
    _check_op(comm, call, op, send)
    signature = Signature(call, send.size, send.dtype, op, root, _is_ghost(send))
    return _joint(signature, (send, recv), send, send.nbytes, price.reduce, moves.reduce, op, root)


def all_reduce(comm: Member, call: str, sendbuf: Any, recvbuf: Any, op: Any) -> Joint:
    """The result is everybody's."""
    op = operation_for(comm, call, op)
    send, recv = _pair(comm, call, sendbuf, recvbuf)
    _check_op(comm, call, op, send)
    signature = Signature(call, send.size, send.dtype, op, None, _is_ghost(send))
    return _joint(signature, (send, recv), send, send.nbytes, price.all_reduce, moves.all_reduce, op)


def scan(comm: Member, call: str, sendbuf: Any, recvbuf: Any, op: Any, inclusive: bool) -> Joint:
    """A result for each rank."""
    op = operation_for(comm, call, op)
    send, recv = _pair(comm, call, sendbuf, recvbuf)
    _check_op(comm, call, op, send)
    signature = Signature(call, send.size, send.dtype, op, None, _is_ghost(send))
    return _joint(signature, (send, recv), send, send.nbytes, price.scan, moves.scan, op, inclusive)


def reduce_scatter_block(comm: Member, call: str, sendbuf: Any, recvbuf: Any, op: Any) -> Joint:
    """Equal parts of the result."""
    op, p = operation_for(comm, call, op), comm.size
    if in_place(sendbuf):
        send = _flat(comm, call, "recvbuf", recvbuf, writable=True, blocks=p)
        recv = send[: send.size // p]
    else:
        recv = _flat(comm, call, "recvbuf", recvbuf, writable=True)
        send = _flat(comm, call, "sendbuf", sendbuf, blocks=p)
        _same_size(comm, call, send, recv, p)
    _check_op(comm, call, op, send)
    signature = Signature(call, send.size, send.dtype, op, None, _is_ghost(send))
    return _joint(signature, (send, recv), send, send.nbytes, price.reduce_scatter, moves.reduce_scatter, op)


def reduce_scatter(
    comm: Member, call: str, sendbuf: Any, recvbuf: Any, recvcounts: Sequence[int] | None, op: Any
) -> Joint:
    """Parts of the result, of sizes that all ranks name or that their receive buffers have."""
    op, p = operation_for(comm, call, op), comm.size
    recv = _flat(comm, call, "recvbuf", recvbuf, writable=True)
    send = recv if in_place(sendbuf) else _flat(comm, call, "sendbuf", sendbuf)
    _same_dtype(comm, call, send, recv)
    counts: Any = send.size
    if recvcounts is not None:
        counts = tuple(int(count) for count in recvcounts)
        if len(counts) != p or sum(counts) != send.size:
            _place(comm, call, "recvcounts").refuse(f"{list(counts)} must be {p} numbers that add up to {send.size}")
        if recv.size < counts[comm.rank]:
            own = counts[comm.rank]
            _place(comm, call, "recvbuf").refuse(f"has {recv.size} elements, its part of the result has {own}")
        recv = recv[: counts[comm.rank]]
    elif in_place(sendbuf):
        _place(comm, call, "recvcounts").refuse("must be given with IN_PLACE", TypeError)
    _check_op(comm, call, op, send)
    signature = Signature(call, counts, send.dtype, op, None, _is_ghost(send))
    return _joint(signature, (send, recv), send, send.nbytes, price.reduce_scatter, moves.reduce_scatter, op)


# ---- blocks of equal size


def gather(comm: Member, call: str, sendbuf: Any, recvbuf: Any, root: int) -> Joint:
    """Everybody has a block, the root a buffer for all."""
    root, p = check_root(comm, call, root), comm.size
    recv = None
    if comm.rank == root:
        recv = _flat(comm, call, "recvbuf", recvbuf, writable=True, blocks=p)
    if recv is not None and in_place(sendbuf):
        send = _block(recv, p, root)
    else:
        send = _flat(comm, call, "sendbuf", sendbuf)
        if recv is not None:
            _same_size(comm, call, recv, send, p)
    signature = Signature(call, send.size, send.dtype, None, root, _is_ghost(send))
    return _joint(signature, (send, recv), send, p * send.nbytes, price.gather, moves.gather, root)


def scatter(comm: Member, call: str, sendbuf: Any, recvbuf: Any, root: int) -> Joint:
    """The root has a buffer for all, everybody a block."""
    root, p = check_root(comm, call, root), comm.size
    send = None
    if comm.rank == root:
        send = _flat(comm, call, "sendbuf", sendbuf, blocks=p)
    if send is not None and in_place(recvbuf):
        recv = _block(send, p, root)
    else:
        recv = _flat(comm, call, "recvbuf", recvbuf, writable=True)
        if send is not None:
            _same_size(comm, call, send, recv, p)
    signature = Signature(call, recv.size, recv.dtype, None, root, _is_ghost(recv))
    return _joint(signature, (send, recv), recv, p * recv.nbytes, price.gather, moves.scatter, root)


def all_gather(comm: Member, call: str, sendbuf: Any, recvbuf: Any) -> Joint:
    """Everybody has a block, and a buffer for all."""
    p = comm.size
    recv = _flat(comm, call, "recvbuf", recvbuf, writable=True, blocks=p)
    if in_place(sendbuf):
        send = _block(recv, p, comm.rank)
    else:
        send = _flat(comm, call, "sendbuf", sendbuf)
        _same_size(comm, call, recv, send, p)
    signature = Signature(call, send.size, send.dtype, None, None, _is_ghost(send))
    return _joint(signature, (send, recv), send, recv.nbytes, price.all_gather, moves.all_gather)


def all_to_all(comm: Member, call: str, sendbuf: Any, recvbuf: Any) -> Joint:
    """Everybody has a block for each rank, and room for one from each."""
    p = comm.size
    recv = _flat(comm, call, "recvbuf", recvbuf, writable=True, blocks=p)
    send = recv if in_place(sendbuf) else _flat(comm, call, "sendbuf", sendbuf, blocks=p)
    _same_size(comm, call, send, recv, 1)
    signature = Signature(call, send.size, send.dtype, None, None, _is_ghost(send))
    return _joint(signature, (send, recv), send, send.nbytes, price.all_to_all, moves.all_to_all)


# ---- blocks of different sizes


def gather_blocks(comm: Member, call: str, sendbuf: Any, recvbuf: Any, root: int) -> Joint:
    """As `gather`, each block of its own size."""
    root = check_root(comm, call, root)
    blocks = None
    if comm.rank == root:
        blocks = for_each_rank(_place(comm, call, "recvbuf"), recvbuf, comm.size, writable=True)
    if blocks is not None and in_place(sendbuf):
        send = blocks[root]
    else:
        send = _flat(comm, call, "sendbuf", sendbuf)
    signature = Signature(call, None, send.dtype, None, root, _is_ghost(send))
    return Joint(signature, (send, blocks), lambda parts: moves.gather_blocks(parts, root), price.gather)


def scatter_blocks(comm: Member, call: str, sendbuf: Any, recvbuf: Any, root: int) -> Joint:
    """As `scatter`, each block of its own size."""
    root = check_root(comm, call, root)
    blocks = None
    if comm.rank == root:
        blocks = for_each_rank(_place(comm, call, "sendbuf"), sendbuf, comm.size)
    if blocks is not None and in_place(recvbuf):
        recv = blocks[root]
    else:
        recv = _flat(comm, call, "recvbuf", recvbuf, writable=True)
    signature = Signature(call, None, recv.dtype, None, root, _is_ghost(recv))
    return Joint(signature, (blocks, recv), lambda parts: moves.scatter_blocks(parts, root), price.gather)


def all_gather_blocks(comm: Member, call: str, sendbuf: Any, recvbuf: Any) -> Joint:
    """As `all_gather`, each block of its own size, which all ranks name."""
    place = _place(comm, call, "recvbuf")
    blocks = for_each_rank(place, recvbuf, comm.size, writable=True)
    send = blocks[comm.rank] if in_place(sendbuf) else _flat(comm, call, "sendbuf", sendbuf)
    if send.size != blocks.counts[comm.rank]:
        place.refuse(f"has {blocks.counts[comm.rank]} elements for this rank, which sends {send.size}")
    _same_dtype(comm, call, send, blocks.data)
    signature = Signature(call, tuple(blocks.counts), send.dtype, None, None, _is_ghost(send))
    return Joint(signature, (send, blocks), moves.all_gather_blocks, price.all_gather)


def all_to_all_blocks(comm: Member, call: str, sendbuf: Any, recvbuf: Any) -> Joint:
    """As `all_to_all`, each block of its own size."""
    recv = for_each_rank(_place(comm, call, "recvbuf"), recvbuf, comm.size, writable=True)
    send: Blocks = recv
    if not in_place(sendbuf):
        send = for_each_rank(_place(comm, call, "sendbuf"), sendbuf, comm.size)
    _same_dtype(comm, call, send.data, recv.data)
    signature = Signature(call, None, send.data.dtype, None, None, _is_ghost(send.data))
    return Joint(signature, (send, recv), moves.all_to_all_blocks, price.all_to_all)


# ---- what they share


def check_root(comm: Member, call: str, root: Any) -> int:
    """The root, if it is a rank of the communicator.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is no rank.
    """
    if isinstance(root, bool) or not isinstance(root, int | np.integer):
        raise TypeError(f"rank {comm._own()}: {call}(root={root!r}): root must be an integer")
    if not 0 <= root < comm.size:
        raise ValueError(
            f"rank {comm._own()}: {call}(root={root}): root must be a rank of this communicator, 0 to {comm.size - 1}"
        )
    return int(root)


def operation_for(comm: Member, call: str, op: Any) -> Op:
    """Our operation for what was passed as `op`.

    Raises:
        TypeError: If it is none.
    """
    try:
        return operation(op)
    except TypeError as fault:
        raise TypeError(f"rank {comm._own()}: {call}: {fault}") from None


def _place(comm: Member, call: str, name: str) -> Place:
    return Place(comm._own(), call, name)


def _flat(comm: Member, call: str, name: str, buffer: Any, writable: bool = False, blocks: int = 1) -> Any:
    if type(buffer) is Ghost and blocks == 1:  # ten thousand ranks come by here
        return buffer.reshape(-1)
    return flat(_place(comm, call, name), buffer, writable, blocks)


def _is_ghost(buffer: Any) -> bool:
    return type(buffer) is Ghost


def _block(buffer: Any, p: int, rank: int) -> Any:
    size = buffer.size // p
    return buffer[rank * size : (rank + 1) * size]


def _pair(comm: Member, call: str, sendbuf: Any, recvbuf: Any) -> tuple[Any, Any]:
    """What is sent and where the result goes, of one size and dtype; one buffer under IN_PLACE."""
    recv = _flat(comm, call, "recvbuf", recvbuf, writable=True)
    if in_place(sendbuf):
        return recv, recv
    send = _flat(comm, call, "sendbuf", sendbuf)
    _same_size(comm, call, send, recv, 1)
    return send, recv


def _same_size(comm: Member, call: str, large: Any, small: Any, blocks: int) -> None:
    """Refuse a pair of buffers of which one is not `blocks` times as large as the other, or that overlap."""
    if large.size != blocks * small.size:
        times = f"{blocks} ranks x {small.size}" if blocks > 1 else f"{small.size}"
        _place(comm, call, "sendbuf and recvbuf").refuse(f"do not fit: {large.size} elements, and {times}")
    _same_dtype(comm, call, large, small)


def _same_dtype(comm: Member, call: str, send: Any, recv: Any) -> None:
    place = _place(comm, call, "sendbuf and recvbuf")
    if send.dtype != recv.dtype:
        place.refuse(f"have dtypes that differ: {send.dtype} and {recv.dtype}", TypeError)
    if _is_ghost(send) != _is_ghost(recv):
        place.refuse("must both be arrays or both be ghosts", TypeError)
    if send is not recv and not _is_ghost(send) and np.may_share_memory(send, recv):
        place.refuse("share memory; pass MPI.IN_PLACE as the one that is read")


def _check_op(comm: Member, call: str, op: Op, send: Any) -> None:
    fault = None if _is_ghost(send) else op.refuse(send.dtype)
    if fault is not None:
        raise TypeError(f"rank {comm._own()}: {call}: {fault}")


def _joint(
    signature: Signature,
    part: Any,
    buffer: Any,
    nbytes: int,
    charged: price.Price,
    move: Callable[..., None],
    *arguments: Any,
) -> Joint:
    """A side whose data `move` moves. Ghosts are not even brought along: there is nothing to move but their size."""
    if type(buffer) is Ghost:
        return Joint(signature, nbytes, _first, charged)

    def combine(parts: list[Any]) -> int:
        move(parts, *arguments)
        return nbytes

    return Joint(signature, part, combine, charged)


def _first(sizes: list[int]) -> int:
    return sizes[0]


def _nothing(parts: list[Any]) -> int:
    return 0
