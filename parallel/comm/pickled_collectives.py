"""The collectives without a capital letter: they take any Python object, and give every rank a copy of its own.

An object travels as the bytes that pickle makes of it, as in mpi4py; their number is what it is charged for. So no
two ranks ever hold the same object, though they live in one process.
"""

import pickle
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from parallel.comm import collective_price as price
from parallel.comm.collective_sides import barrier, check_root, operation_for
from parallel.comm.meeting import Joint, Signature, meet
from parallel.comm.member import Member
from parallel.comm.reductions import SUM, Op


class Parcel:
    """What one rank brings and what it gets, in pickled form."""

    __slots__ = ("received", "sent")

    def __init__(self, sent: Any):
        self.sent = sent  # bytes, or a list with bytes for each rank
        self.received: Any = None


class PickledCollectives(Member):
    """The calls of a communicator that all ranks make together, for Python objects."""

    def barrier(self) -> None:
        """The same as `Barrier`."""
        meet(self, barrier(self, "barrier"))

    def bcast(self, obj: Any = None, root: int = 0) -> Any:
        """A copy of the root's object, for everybody.

        Args:
            obj: The object; only the root's counts.
            root: Rank whose object it is.

        Returns:
            The copy, on the root too.

        Cost: that of `Bcast` for the bytes of the pickle.

        >>> from parallel import simulate
        >>> simulate(lambda comm: comm.bcast({"lr": 0.1} if comm.rank == 0 else None), ranks=2).results
        [{'lr': 0.1}, {'lr': 0.1}]
        """
        root = check_root(self, "bcast", root)

        def combine(parcels: list[Parcel]) -> int:
            sent = parcels[root].sent
            for parcel in parcels:
                parcel.received = sent
            return len(sent)

        sent = pickle.dumps(obj) if self.rank == root else None
        return pickle.loads(self._exchange(Signature("bcast", root=root), sent, combine, price.broadcast))

    def gather(self, sendobj: Any, root: int = 0) -> list[Any] | None:
        """Copies of everybody's objects, on the root.

        Args:
            sendobj: The object.
            root: Rank that gets them.

        Returns:
            The list by rank on the root, None on the others.

        Cost: that of `Gather` for the bytes of all pickles.
        """
        root = check_root(self, "gather", root)

        def combine(parcels: list[Parcel]) -> int:
            parcels[root].received = [parcel.sent for parcel in parcels]
            return sum(map(len, parcels[root].received))

        received = self._exchange(Signature("gather", root=root), pickle.dumps(sendobj), combine, price.gather)
        return None if received is None else [pickle.loads(one) for one in received]

    def scatter(self, sendobj: Sequence[Any] | None, root: int = 0) -> Any:
        """A copy of the root's n-th object, for rank n.

        Args:
            sendobj: On the root a sequence with one object for each rank.
            root: Rank that has it.

        Returns:
            This rank's object.

        Raises:
            ValueError: If the root's sequence has another length.

        Cost: that of `Scatter` for the bytes of all pickles.
        """
        root = check_root(self, "scatter", root)

        def combine(parcels: list[Parcel]) -> int:
            for parcel, one in zip(parcels, parcels[root].sent, strict=True):
                parcel.received = one
            return sum(map(len, parcels[root].sent))

        sent = self._pickle_each("scatter", sendobj) if self.rank == root else None
        return pickle.loads(self._exchange(Signature("scatter", root=root), sent, combine, price.gather))

    def allgather(self, sendobj: Any) -> list[Any]:
        """Copies of everybody's objects, for everybody.

        Args:
            sendobj: The object.

        Returns:
            The list by rank.

        Cost: that of `Allgather` for the bytes of all pickles.
        """

        def combine(parcels: list[Parcel]) -> int:
            everything = [parcel.sent for parcel in parcels]
            for parcel in parcels:
                parcel.received = everything
            return sum(map(len, everything))

        received = self._exchange(Signature("allgather"), pickle.dumps(sendobj), combine, price.all_gather)
        return [pickle.loads(one) for one in received]

    def alltoall(self, sendobj: Sequence[Any]) -> list[Any]:
        """Everybody's n-th object to rank n.

        Args:
            sendobj: A sequence with one object for each rank.

        Returns:
            The list of what the ranks sent to this one, by rank.

        Raises:
            ValueError: If the sequence has another length.

        Cost: that of `Alltoall` for the bytes of the pickles of whoever sends most.
        """

        def combine(parcels: list[Parcel]) -> int:
            for rank, parcel in enumerate(parcels):
                parcel.received = [other.sent[rank] for other in parcels]
            return max(sum(map(len, parcel.sent)) for parcel in parcels)

        sent = self._pickle_each("alltoall", sendobj)
        received = self._exchange(Signature("alltoall"), sent, combine, price.all_to_all)
        return [pickle.loads(one) for one in received]

    def reduce(self, sendobj: Any, op: Op | Callable[[Any, Any], Any] = SUM, root: int = 0) -> Any | None:
        """Everybody's objects combined in the order of the ranks, on the root.

        Args:
            sendobj: The object.
            op: An operation such as MPI.SUM, or a function of two objects.
            root: Rank that gets the result.

        Returns:
            The result on the root, None on the others.

        Cost: that of `Reduce` for the bytes of the longest pickle.
        """
        root = check_root(self, "reduce", root)

        def give(parcels: list[Parcel], totals: list[bytes]) -> None:
            parcels[root].received = totals[-1]

        return self._reduce("reduce", sendobj, op, give, price.reduce, root)

    def allreduce(self, sendobj: Any, op: Op | Callable[[Any, Any], Any] = SUM) -> Any:
        """Everybody's objects combined in the order of the ranks, for everybody.

        Args:
            sendobj: The object.
            op: An operation such as MPI.SUM, or a function of two objects.

        Returns:
            The result.

        Cost: that of `Allreduce` for the bytes of the longest pickle.

        >>> from parallel import simulate
        >>> simulate(lambda comm: comm.allreduce(f"rank {comm.rank}", max), ranks=3).results[0]
        'rank 2'
        """

        def give(parcels: list[Parcel], totals: list[bytes]) -> None:
            for parcel in parcels:
                parcel.received = totals[-1]

        return self._reduce("allreduce", sendobj, op, give, price.all_reduce)

    def scan(self, sendobj: Any, op: Op | Callable[[Any, Any], Any] = SUM) -> Any:
        """The objects of the ranks up to and with this one, combined.

        Args:
            sendobj: The object.
            op: An operation such as MPI.SUM, or a function of two objects.

        Returns:
            The result.

        Cost: that of `Scan` for the bytes of the longest pickle.
        """

        def give(parcels: list[Parcel], totals: list[bytes]) -> None:
            for parcel, total in zip(parcels, totals, strict=True):
                parcel.received = total

        return self._reduce("scan", sendobj, op, give, price.scan)

    def exscan(self, sendobj: Any, op: Op | Callable[[Any, Any], Any] = SUM) -> Any:
        """The objects of the ranks before this one, combined.

        Args:
            sendobj: The object.
            op: An operation such as MPI.SUM, or a function of two objects.

        Returns:
            The result; None on rank 0.

        Cost: that of `Exscan` for the bytes of the longest pickle.
        """

        def give(parcels: list[Parcel], totals: list[bytes]) -> None:
            for parcel, total in zip(parcels[1:], totals, strict=False):
                parcel.received = total

        return self._reduce("exscan", sendobj, op, give, price.scan)

    def _reduce(
        self,
        call: str,
        sendobj: Any,
        op: Any,
        give: Callable[[list[Parcel], list[bytes]], None],
        charged: price.Price,
        root: int | None = None,
    ) -> Any:
        combining = operation_for(self, call, op)

        def combine(parcels: list[Parcel]) -> int:
            contributions = (pickle.loads(parcel.sent) for parcel in parcels)
            running = accumulate(contributions, combining)
            give(parcels, [pickle.dumps(total) for total in running])  # at once: the next step may change it
            return max(len(parcel.sent) for parcel in parcels)

        signature = Signature(call, op=combining, root=root)
        received = self._exchange(signature, pickle.dumps(sendobj), combine, charged)
        return None if received is None else pickle.loads(received)

    def _exchange(
        self, signature: Signature, sent: Any, combine: Callable[[list[Parcel]], int], charged: price.Price
    ) -> Any:
        parcel = Parcel(sent)
        meet(self, Joint(signature, parcel, combine, charged))
        return parcel.received

    def _pickle_each(self, call: str, objects: Sequence[Any] | None) -> list[bytes]:
        place = f"rank {self._own()}: {call}: sendobj"
        if objects is None or isinstance(objects, str) or not hasattr(objects, "__iter__"):
            raise TypeError(f"{place}={objects!r} must be a sequence with an object for each rank")
        pickled = [pickle.dumps(one) for one in objects]
        if len(pickled) != self.size:
            raise ValueError(f"{place} must have {self.size} objects, one for each rank, it has {len(pickled)}")
        return pickled
