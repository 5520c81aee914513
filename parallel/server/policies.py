"""When a server applies a gradient, and when a worker may read and go on: four policies.

    policy              applies                                          a worker may read
    Asynchronous        each gradient as it comes                        at once
    Synchronous         the mean of one gradient of every worker         when the update of its round is done
    Window              the mean of what came within a time              when the update of its window is done
    StaleSynchronous    each as it comes, or the mean of a clock         while at most s clocks ahead of the slowest

A policy knows no communicator and no parameters: it is told what has come, and answers with the batches that are to
be applied now, each a list of gradients whose mean, summed in the order of the ranks, is one update. That order
makes a synchronous run the same to the last bit whoever comes first.
"""

from math import inf
from typing import NamedTuple

import numpy as np

from parallel.server.asynchronous import Array


class Arrival(NamedTuple):
    """A gradient that waits for its update.

    Args:
        worker: Who sent it.
        clock: How many this worker had pushed before.
        push: Its place in the record.
        gradient: What was sent; the policy owns it.
    """

    worker: int
    clock: int
    push: int
    gradient: Array


Batch = list[Arrival]


def in_rank_order(batch: Batch) -> Batch:
    """The gradients of a batch as they are to be summed, whoever came first."""
    return sorted(batch, key=lambda arrival: arrival.worker)


class Policy:
    """What all policies have. `clocks` counts the gradients that each living worker has pushed."""

    seconds: float | None = None  # length of a window, where there is one

    def start(self, workers: tuple[int, ...]) -> None:
        """Begin with these workers."""
        self.clocks = dict.fromkeys(workers, 0)
        self.least = 0
        self.last_seen_there: list[int] = []

    def arrived(self, arrival: Arrival) -> list[Batch]:
        """Take a gradient; returns the batches that are to be applied now, one after the other."""
        raise NotImplementedError

    def may_read(self, worker: int) -> bool:
        """Whether this worker, which has pushed all that it computed, may have the parameters now."""
        raise NotImplementedError

    def gone(self, worker: int) -> list[Batch]:
        """A worker will send no more; returns what can be applied without it."""
        self.clocks.pop(worker, None)
        return []

    def window_over(self) -> list[Batch]:
        """The time of a window has passed; returns what is to be applied."""
        return []

    @property
    def window_is_open(self) -> bool:
        """Whether gradients wait for the end of a window."""
        return False

    @property
    def gate(self) -> int:
        """Another number whenever somebody who had to wait may perhaps read: until then nobody is asked again."""
        raise NotImplementedError

    @property
    def slowest(self) -> int:
        """The least number of gradients that any living worker has pushed.

        Asked for each gradient, so all clocks are looked at only once for each value it takes: no clock runs back, and
        while one of those that were seen at the least is there still, it is the least.
        """
        there = self.last_seen_there
        while there and self.clocks.get(there[-1]) != self.least:
            there.pop()
        if not there:
            self.least = min(self.clocks.values(), default=0)
            there += [worker for worker, clock in self.clocks.items() if clock == self.least]
        return self.least


class Asynchronous(Policy):
    """Apply each gradient as it comes and let its worker go on at once: nobody waits, gradients are stale.

    Source: Dean and others, "Large scale distributed deep networks", 2012 (Downpour SGD).
    """

    def arrived(self, arrival: Arrival) -> list[Batch]:
        """Apply it."""
        self.clocks[arrival.worker] += 1
        return [[arrival]]

    def may_read(self, worker: int) -> bool:
        """Always."""
        return True

    @property
    def gate(self) -> int:
        """Nobody waits."""
        return 0


class Synchronous(Policy):
    """Apply the mean of one gradient of every worker, then let all go on: the same as one process.

    With backup workers the round ends when all but the slowest `backup` have come; a gradient that comes later is
    dropped. With exponential step times D of D + b workers are done after H(D + b) - H(b) mean step times instead of
    H(D), H(n) = 1 + 1/2 + ... + 1/n. Rounds here take somewhat longer: nobody interrupts a late worker, which then
    begins the next round late (parallel/studies/stragglers/backup.py measures both).

    Args:
        backup: How many of the workers a round does not wait for, 0 or more.

    Raises:
        ValueError: If `backup` is negative, or leaves no worker to wait for (when it starts).

    Source: Chen and others, "Revisiting distributed synchronous SGD", 2016.
    """

    def __init__(self, backup: int = 0):
        if isinstance(backup, bool) or not isinstance(backup, int | np.integer) or backup < 0:
            raise ValueError(f"backup={backup!r} must be a whole number of at least 0")
        self.backup = int(backup)
        self.round = 0
        self.waiting: Batch = []
        self.reads: dict[int, int] = {}  # round in which each worker read last

    def start(self, workers: tuple[int, ...]) -> None:
        """Begin; refuse more backup workers than there are to spare."""
        if self.backup >= len(workers):
            raise ValueError(f"backup={self.backup} must be below the number of workers, which is {len(workers)}")
        super().start(workers)
        self.reads = dict.fromkeys(workers, -1)

    def arrived(self, arrival: Arrival) -> list[Batch]:
        """Keep it for the round; drop it if its round is over."""
        self.clocks[arrival.worker] += 1
        if self.reads[arrival.worker] == self.round:
            self.waiting.append(arrival)
        return self._finished()

    def may_read(self, worker: int) -> bool:
        """Once in each round."""
        if self.reads[worker] == self.round:
            return False
        self.reads[worker] = self.round
        return True

    @property
    def gate(self) -> int:
        """All wait for the end of the round."""
        return self.round

    def gone(self, worker: int) -> list[Batch]:
        """Go on with the others."""
        super().gone(worker)
        return self._finished()

    def _finished(self) -> list[Batch]:
        needed = max(1, len(self.clocks) - self.backup)
        if len(self.waiting) < needed:
            return []
        batch, self.waiting = self.waiting, []
        self.round += 1
        return [in_rank_order(batch)]


class Window(Policy):
    """Semi-synchronous: a gradient opens a window; at its end the mean of what has come is applied, and those go on.

    Fast workers are not held up by a slow one for longer than a window, and the gradients of one window are one
    larger batch. The shortest window is the asynchronous run, one longer than any step the synchronous one.

    Args:
        seconds: Length of a window, in s of the server's clock, above 0.

    Raises:
        ValueError: If `seconds` is not above 0.
    """

    def __init__(self, seconds: float):
        if not 0 < seconds < inf:
            raise ValueError(f"seconds={seconds!r} of a window must be above 0 and finite")
        self.seconds: float = seconds
        self.waiting: Batch = []
        self.windows = 0  # that are over

    def arrived(self, arrival: Arrival) -> list[Batch]:
        """Keep it until the window is over."""
        self.clocks[arrival.worker] += 1
        self.waiting.append(arrival)
        return []

    def may_read(self, worker: int) -> bool:
        """When its gradient has been applied."""
        return all(arrival.worker != worker for arrival in self.waiting)

    @property
    def gate(self) -> int:
        """All wait for the end of a window."""
        return self.windows

    @property
    def window_is_open(self) -> bool:
        """From the first gradient to the end of its window."""
        return bool(self.waiting)

    def window_over(self) -> list[Batch]:
        """Apply what has come."""
        batch, self.waiting = self.waiting, []
        self.windows += 1
        return [in_rank_order(batch)] if batch else []


class StaleSynchronous(Policy):
    """Bounded staleness: no worker reads while it is more than s completed clocks ahead of the slowest.

    A clock is one gradient of a worker. A worker that has completed c clocks may read as long as the slowest has
    completed c - s, so it sees every update of the clocks before c - s, and perhaps later ones. s = 0 makes all wait
    for all; s infinite is the asynchronous run.

    Args:
        bound: s, a whole number of at least 0, or math.inf.
        buffered: Keep gradients until all workers have completed their clock, and apply the mean of a clock, in the
            order of the ranks, as one update. With s = 0 this is synchronous SGD bit for bit. Applied on arrival (the
            default) it cannot be: there each gradient is an update of its own, and the later ones of a clock were
            computed at parameters without the earlier ones.

    Raises:
        ValueError: If `bound` is negative or not whole.

    Source: Ho and others, "More effective distributed ML via a stale synchronous parallel parameter server", 2013.
    """

    def __init__(self, bound: float, buffered: bool = False):
        if bound != inf and (isinstance(bound, bool) or not isinstance(bound, int | np.integer) or bound < 0):
            raise ValueError(f"bound={bound!r} must be a whole number of at least 0, or math.inf")
        self.bound = bound
        self.buffered = buffered
        self.waiting: dict[int, Batch] = {}  # by clock
        self.applied = 0  # clocks, where they are buffered

    def arrived(self, arrival: Arrival) -> list[Batch]:
        """Apply it, or keep it for its clock."""
        self.clocks[arrival.worker] += 1
        if not self.buffered:
            return [[arrival]]
        self.waiting.setdefault(arrival.clock, []).append(arrival)
        return self._finished()

    def may_read(self, worker: int) -> bool:
        """While it is at most `bound` ahead."""
        return self.clocks[worker] - self.slowest <= self.bound

    @property
    def gate(self) -> int:
        """All wait for the slowest."""
        return self.slowest

    def gone(self, worker: int) -> list[Batch]:
        """Do not wait for it."""
        super().gone(worker)
        return self._finished() if self.buffered else []

    def _finished(self) -> list[Batch]:
        batches = []
        while self.waiting and self.applied < self.slowest:
            batch = self.waiting.pop(self.applied, [])
            self.applied += 1
            if batch:
                batches.append(in_rank_order(batch))
        return batches
