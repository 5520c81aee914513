"""The worker's side, for one server or several that share the parameters."""

from typing import Any

import numpy as np

from parallel.collectives.ring import chunk
from parallel.comm import ANY_TAG, new_status
from parallel.comm.abort import end_job_on_exception
from parallel.server.asynchronous import PULL, PUSH, STOP, Array, Gradient
from parallel.server.serving import worker_ranks


class ParameterClient:
    """Pulls and pushes whole arrays of parameters, to and from each server its `chunk` of the flat array.

    Each request goes out with its answer's receive begun. With several servers that is a must: a worker that took the
    answers one after the other would keep a server, which sends to it, from taking another's gradient; and if that one
    keeps the server waiting that the first worker waits for, all four wait for ever.

    Args:
        comm: The servers' communicator; this must be a worker.
        parameters: C-contiguous array of any shape; what is pulled is written here.
        servers: How many ranks, from 0 on, are servers.

    Raises:
        ValueError: If there is no server or no worker, or `parameters` is not contiguous.
    """

    def __init__(self, comm: Any, parameters: Array, servers: int = 1):
        worker_ranks(comm, servers)
        if not parameters.flags.c_contiguous:
            raise ValueError("parameters must be contiguous in C order")
        self.comm = comm
        self.flat = parameters.reshape(-1)
        self.status = new_status(comm)
        self.parts = {server: chunk(self.flat.size, servers, server) for server in range(servers)}
        self.answers: dict[int, Any] = {}  # server -> the request that its answer ends
        for server in self.parts:
            self._ask(server, np.empty(0, parameters.dtype), PULL)

    def _ask(self, server: int, message: Array, tag: int) -> None:
        """Send a server something to which it will answer with its part of the parameters, or with STOP."""
        self.answers[server] = self.comm.Irecv(self.flat[self.parts[server]], server, ANY_TAG)
        self.comm.Send(message, server, tag)

    def pull(self) -> bool:
        """Wait for the parameters; False if no server wants another gradient, and nothing was written.

        Servers that have made their updates send nothing more. Gradients come to them in different orders, so that one
        may be done a gradient before another; its slice stays as it was pulled last.
        """
        for server in list(self.parts):
            self.answers.pop(server).Wait(self.status)
            if self.status.Get_tag() == STOP:
                del self.parts[server]
        return bool(self.parts)

    def push(self, gradient: Array) -> None:
        """Send each server its part of a gradient.

        A push is also the next pull's request: from here on the parameters may be written.
        """
        flat = gradient.reshape(-1)
        for server, part in self.parts.items():
            self._ask(server, flat[part], PUSH)


def work(comm: Any, parameters: Array, gradient: Gradient, servers: int = 1) -> int:
    """Pull parameters, compute a gradient, push it, and again, until the servers say stop.

    Args:
        comm: The servers' communicator; this must be a worker.
        parameters: C-contiguous array of the shape and dtype of the whole; what is pulled is written here.
        gradient: `gradient(parameters)`, an array of the same shape.
        servers: How many ranks, from 0 on, are servers.

    Returns:
        Number of gradients pushed.

    Raises:
        ValueError: If a gradient has another shape than the parameters.
    """
    end_job_on_exception(comm)
    client = ParameterClient(comm, parameters, servers)
    pushed = 0
    while client.pull():
        computed = np.asarray(gradient(parameters), parameters.dtype, order="C")
        if computed.shape != parameters.shape:
            raise ValueError(f"gradient has shape {computed.shape}, the parameters have {parameters.shape}")
        client.push(computed)
        pushed += 1
    return pushed
