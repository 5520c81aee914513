"""The same training by a synchronous server, by data parallelism over a ring, and by one process: for both worlds."""

from typing import Any

import numpy as np

from minigrad import Tensor, optim
from minigrad.nn import MLP, Tanh
from minigrad.nn import functional as F
from parallel.data_parallel import DataParallel
from parallel.server import SERVER, Synchronous, rule_update, serve, work

STEPS, LR, MOMENTUM = 5, 0.3, 0.5
EXAMPLES = 12  # divides by 1, 2, 3 and 4 workers: a server's mean gives every worker the same weight


def fresh() -> MLP:
    """The model in float64, the same each time."""
    return MLP([5, 6, 3], Tanh(), rng=np.random.default_rng(1), dtype=np.float64)


def backward(model: MLP, part: slice, step: int) -> None:
    """The gradient of the mean loss over a part of this step's batch."""
    rng = np.random.default_rng([7, step])
    inputs, targets = rng.standard_normal((EXAMPLES, 5)), rng.integers(0, 3, EXAMPLES)
    model.zero_grad()
    F.cross_entropy(model(Tensor(inputs[part])), targets[part]).backward()


def flat(model: MLP, what: str = "data") -> np.ndarray:
    """All parameters, or all gradients, as one row."""
    arrays = (parameter.data if what == "data" else parameter.grad.data for parameter in model.parameters())
    return np.concatenate([array.reshape(-1) for array in arrays])


def part_of(worker: int, workers: int) -> slice:
    """The examples of one worker."""
    share = EXAMPLES // workers
    return slice(worker * share, (worker + 1) * share)


def by_ring(comm: Any) -> np.ndarray:
    """All ranks of `comm` work; the parameters of this one."""
    model = fresh()
    replica = DataParallel(model, comm, algorithm="ring")
    optimizer = optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    for step in range(STEPS):
        backward(model, part_of(comm.Get_rank(), comm.Get_size()), step)
        replica.average_gradients()
        optimizer.step()
    return flat(model)


def by_server(comm: Any) -> np.ndarray | None:
    """Rank 0 serves the others; its parameters, None on the workers."""
    model = fresh()
    values = flat(model)
    if comm.Get_rank() == SERVER:
        serve(comm, values, rule_update("sgd", LR, momentum=MOMENTUM), Synchronous(), STEPS)
        return values
    steps = iter(range(STEPS))

    def gradient(values: np.ndarray) -> np.ndarray:
        start = 0
        for parameter in model.parameters():
            parameter.data[...] = values[start : start + parameter.numel()].reshape(parameter.shape)
            start += parameter.numel()
        backward(model, part_of(comm.Get_rank() - 1, comm.Get_size() - 1), next(steps))
        return flat(model, "grad")

    work(comm, values, gradient)
    return None


def by_one() -> np.ndarray:
    """One process with the whole batches."""
    model = fresh()
    optimizer = optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    for step in range(STEPS):
        backward(model, slice(None), step)
        optimizer.step()
    return flat(model)


def differences(comm: Any) -> dict[str, float]:
    """The largest difference of each way from one process, on the ranks that have it; all ranks but 0 are workers."""
    expected = by_one()
    server = by_server(comm)
    workers = comm.Split(int(comm.Get_rank() != SERVER), comm.Get_rank())
    ways = {"server": server, "ring": by_ring(workers) if comm.Get_rank() != SERVER else None}
    return {name: float(np.abs(found - expected).max()) for name, found in ways.items() if found is not None}
