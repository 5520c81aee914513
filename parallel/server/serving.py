"""The server's loop, for any policy, optimizer rule and number of servers.

What passes between a worker and a server is that of asynchronous.py: PULL (empty) once, then PUSH (a gradient) again
and again; each is answered with WORK (the parameters) or STOP (empty), but when is for the policy to say. Whoever may
not read yet is simply not answered, and waits in its receive.
"""

import sys
from typing import Any

import numpy as np

from parallel.comm import ANY_SOURCE, ANY_TAG, clock, new_status, pause
from parallel.comm.abort import end_job_on_exception
from parallel.comm.lost import acknowledge_lost, listen_for_lost_ranks, lost_rank_errors
from parallel.server.asynchronous import LOST, PUSH, STOP, WORK, Apply, Array
from parallel.server.policies import Arrival, Batch, Policy
from parallel.server.record import Push, Service


def serve(
    comm: Any, parameters: Array, apply: Apply, policy: Policy, updates: int, servers: int = 1
) -> Service:
    """Serve `parameters` to the workers until `updates` updates have been applied.

    Ranks 0 to servers - 1 are servers, the others workers. Each server keeps its own part of the parameters, by its own
    policy, and knows nothing of the other servers.

    A worker that dies costs its own gradients only: the server says so on stderr, notes it in `lost` and goes on
    with the others. In simulation that is a rank whose cluster gives it a failure; under mpirun it needs
    `mpirun --with-ft ulfm`, since without it Open MPI ends the whole job.

    Args:
        comm: Any communicator with at least one worker; this must be one of its servers.
        parameters: C-contiguous array of this server's part, any shape; changed in place. Of w elements server r of
            several keeps `chunk(w, servers, r)` of the collectives.
        apply: `apply(parameters, gradient, t)`, t counted from 1; see `rule_update`.
        policy: A fresh one.
        updates: Number of updates, at least 0. Gradients that come after the last are dropped.
        servers: How many ranks are servers, at least 1.

    Returns:
        The record of all that came.

    Raises:
        ValueError: If there is no worker, or an argument is out of range.
        FloatingPointError: If a gradient is not finite: the run has diverged, and the parameters are those before it.
        RuntimeError: If all workers have died.

    Cost: 2 messages of the size of the part for each gradient, and 2 empty ones a worker.

    Source: Li and others, "Scaling distributed machine learning with the parameter server", 2014.
    """
    end_job_on_exception(comm)
    workers = worker_ranks(comm, servers)
    if isinstance(updates, bool) or not isinstance(updates, int | np.integer) or updates < 0:
        raise ValueError(f"updates={updates!r} must be a whole number of at least 0")
    policy.start(workers)
    return Serving(comm, parameters, apply, policy, int(updates), workers).run()


def worker_ranks(comm: Any, servers: int) -> tuple[int, ...]:
    """The ranks that work.

    Raises:
        ValueError: If there is no server or no worker among the ranks.
    """
    size = comm.Get_size()
    if isinstance(servers, bool) or not isinstance(servers, int | np.integer) or servers < 1:
        raise ValueError(f"servers={servers!r} must be a whole number of at least 1")
    if size <= servers:
        raise ValueError(
            f"comm must have at least {servers + 1} ranks, {servers} of them servers and a worker, it has {size}"
        )
    return tuple(range(servers, size))


class Serving:
    """One run of `serve`; its arguments, checked."""

    def __init__(
        self, comm: Any, parameters: Array, apply: Apply, policy: Policy, updates: int, workers: tuple[int, ...]
    ):
        self.comm, self.parameters, self.apply, self.policy, self.updates = comm, parameters, apply, policy, updates
        self.service = Service()
        self.active = set(workers)
        self.came: list[int] = []  # workers that have not been looked at yet, in the order of coming
        self.idle: list[int] = []  # those that may not read yet, in the same order
        self.gate = (policy.gate, False)  # as it was when those were told to wait
        self.version_read: dict[int, int] = {}
        self.slowest_read: dict[int, int] = {}
        self.gradient = np.empty_like(parameters, order="C")
        self.nothing = np.empty(0, parameters.dtype)
        self.status = new_status(comm)
        self.errors = lost_rank_errors(comm)
        self.lost_ranks = listen_for_lost_ranks(comm, LOST, parameters.dtype)

    @property
    def done(self) -> bool:
        """Whether all updates have been applied."""
        return self.service.updates >= self.updates

    def run(self) -> Service:
        """Receive, apply, answer, until every worker has been told to stop or is lost."""
        while self.active:
            self._receive()
            if self.policy.seconds is not None and self.policy.window_is_open and not self.done:
                self._let_window_pass(self.policy.seconds)
            self._answer()
        return self.service

    def _receive(self) -> None:
        """Take one message."""
        try:
            self.comm.Recv(self.gradient, ANY_SOURCE, ANY_TAG, self.status)
        except self.errors as error:
            self._lose(acknowledge_lost(self.comm, error))
            return
        worker, tag = self.status.Get_source(), self.status.Get_tag()
        if tag == LOST:
            self._lose({worker})
            return
        self.came.append(worker)
        if tag == PUSH:
            self._take(worker)

    def _take(self, worker: int) -> None:
        """Note a gradient, and apply what the policy says."""
        made, read, slowest = self.policy.clocks[worker], self.version_read[worker], self.slowest_read[worker]
        self.service.pushes.append(Push(worker, made, read, 0, clock(self.comm), slowest))
        if not self.done and not np.isfinite(self.gradient).all():
            raise FloatingPointError(
                f"the gradient of worker {worker} is not finite at update {self.service.updates + 1}; the parameters, "
                f"kept as they were, have norm {np.linalg.norm(self.parameters):.3g}: the run has diverged, take a "
                "smaller learning rate"
            )
        arrival = Arrival(worker, made, len(self.service.pushes) - 1, self.gradient.copy())
        self._apply(self.policy.arrived(arrival))

    def _apply(self, batches: list[Batch]) -> None:
        """Apply the mean of each batch, until there are updates enough."""
        service = self.service
        for batch in batches[: max(0, self.updates - service.updates)]:
            gradient = batch[0].gradient
            for arrival in batch[1:]:
                gradient += arrival.gradient
            if len(batch) > 1:
                gradient /= len(batch)
            service.updates += 1
            self.apply(self.parameters, gradient, service.updates)
            service.update_times.append(clock(self.comm))
            for arrival in batch:
                service.pushes[arrival.push] = service.pushes[arrival.push]._replace(update=service.updates)

    def _answer(self) -> None:
        """Give the parameters to those who may read, in the order in which they came; stop all at the end.

        Sending takes time, in which others may die. Whoever had to wait for one of these may go on now: then all are
        looked at once more.
        """
        lost = -1
        while lost < len(self.service.lost):
            lost = len(self.service.lost)
            for worker in self._to_look_at():
                self._lose(self.lost_ranks())  # an answer to a dead worker would never be received
                if worker in self.active:
                    self._answer_one(worker)

    def _to_look_at(self) -> list[int]:
        """Who may perhaps be answered: whoever has just come, and if the gate has moved those who wait at it."""
        gate = (self.policy.gate, self.done)
        workers, self.came = self.came, []
        if gate != self.gate:
            workers, self.idle, self.gate = self.idle + workers, [], gate
        return workers

    def _answer_one(self, worker: int) -> None:
        """Give a worker the parameters if it may read, stop it at the end, else let it wait."""
        if self.done:
            self._send(self.nothing, worker, STOP)
            self.active.discard(worker)
        elif self.policy.may_read(worker):
            self.version_read[worker] = self.service.updates
            self.slowest_read[worker] = self.policy.slowest
            self._send(self.parameters, worker, WORK)
        else:
            self.idle.append(worker)

    def _send(self, array: Array, worker: int, tag: int) -> None:
        try:
            self.comm.Send(array, worker, tag)
        except self.errors as error:
            self._lose(acknowledge_lost(self.comm, error))

    def _lose(self, ranks: set[int]) -> None:
        """Go on without these."""
        for rank in sorted(ranks & self.active):
            came = sum(push.worker == rank for push in self.service.pushes)
            self.service.lost[rank] = came
            print(f"worker {rank} died after {came} gradients; going on without it", file=sys.stderr, flush=True)
            self.active.discard(rank)
            self._apply(self.policy.gone(rank))
        if not self.active and not self.done:
            raise RuntimeError(f"all workers have died, after {self.service.updates} of {self.updates} updates")

    def _let_window_pass(self, seconds: float) -> None:
        """Wait for the end of the window that a gradient has opened, take what has come by then, and apply it.

        Nobody who has pushed is to be answered before, so that the server may sleep and look into its mailbox once.
        """
        pause(self.comm, seconds)
        while self.comm.Iprobe(ANY_SOURCE, ANY_TAG):
            self._receive()
        self._apply(self.policy.window_over())
