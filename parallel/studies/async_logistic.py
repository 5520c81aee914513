"""Logistic regression trained by an asynchronous parameter server.

    python -m parallel.studies.async_logistic                  on 4 simulated ranks, one worker four times slower
    mpirun -n 4 python -m parallel.studies.async_logistic      on 4 real ones

Both print the loss, the accuracy and how stale the gradients were. The data are made up: points in a cloud, and
for each a label drawn with the probability that a hidden weight vector gives it. So no classifier is always
right, and the hidden weights tell how right one can be.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.optim.rules import sgd
from parallel.comm import elapse
from parallel.server import SERVER, Apply, Gradient, Update, server, worker

Array = NDArray[Any]

FEATURES = 8
EXAMPLES = 2000  # to train on, and as many to test on
SECONDS = 1e-3  # what a gradient takes at nominal speed in a simulation


@dataclass(frozen=True)
class Outcome:
    """What the server holds at the end.

    Attributes:
        weights: the trained weights, float64, shape (FEATURES + 1,); the last is the bias.
        loss: mean cross entropy on the test examples, in nats.
        accuracy: share of the test examples classified correctly.
        best_accuracy: the same for the hidden weights that made the labels.
        record: one Update for each gradient applied.
    """

    weights: Array
    loss: float
    accuracy: float
    best_accuracy: float
    record: list[Update]

    @property
    def staleness_histogram(self) -> list[int]:
        """How many updates had staleness 0, 1, 2, ..."""
        return np.bincount([update.staleness for update in self.record]).tolist()


def program(comm: Any, updates: int = 600, lr: float = 0.5, batch_size: int = 32, seed: int = 0) -> Outcome | None:
    """Train on all ranks of `comm`: rank 0 serves, the others compute gradients of random batches.

    Args:
        comm: Any communicator of at least 2 ranks.
        updates: Number of updates in all, at least 1.
        lr: Learning rate.
        batch_size: Examples in each gradient, at least 1.
        seed: Of the data and the batches.

    Returns:
        Outcome on rank 0, None on the workers.

    Raises:
        ValueError: If there is no worker, or an argument is out of range.
    """
    for name, value in (("updates", updates), ("batch_size", batch_size)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of at least 1")
    rank = comm.Get_rank()
    weights = np.zeros(FEATURES + 1)
    if rank != SERVER:
        batch_gradient = make_gradient(rank, batch_size, seed)

        def timed_gradient(weights: Array) -> Array:
            elapse(comm, SECONDS, "gradient")
            return batch_gradient(weights)

        worker(comm, weights, timed_gradient)
        return None
    record = server(comm, weights, make_apply(lr), updates)
    points, labels, hidden = make_data(seed, "test")
    return Outcome(
        weights=weights,
        loss=loss(weights, points, labels),
        accuracy=accuracy(weights, points, labels),
        best_accuracy=accuracy(hidden, points, labels),
        record=record,
    )


def make_apply(lr: float) -> Apply:
    """Plain gradient descent, as the server wants it: the rule with its state and rate bound."""
    state: dict[str, Any] = {}
    return lambda weights, gradient, t: sgd(weights, gradient, state, lr, t)


def make_gradient(rank: int, batch_size: int, seed: int) -> Gradient:
    """Return a worker's gradient function; each call takes the next random batch of this worker."""
    points, labels, _ = make_data(seed, "train")
    rng = np.random.default_rng([seed, rank])

    def gradient(weights: Array) -> Array:
        batch = rng.integers(len(points), size=batch_size)
        return loss_gradient(weights, points[batch], labels[batch])

    return gradient


def make_data(seed: int, part: str) -> tuple[Array, Array, Array]:
    """Make up examples; the same seed always gives the same.

    Args:
        seed: Of the hidden weights and the examples.
        part: "train" or "test": different examples, the same hidden weights.

    Returns:
        points, shape (EXAMPLES, FEATURES + 1) with a last column of ones for the bias; labels 0.0 or 1.0, shape
        (EXAMPLES,); the hidden weights, shape (FEATURES + 1,).
    """
    hidden = 1.5 * np.random.default_rng(seed).standard_normal(FEATURES + 1)
    rng = np.random.default_rng([seed, 0, ("train", "test").index(part)])
    points = np.column_stack([rng.standard_normal((EXAMPLES, FEATURES)), np.ones(EXAMPLES)])
    labels = (rng.random(EXAMPLES) < sigmoid(points @ hidden)).astype(np.float64)
    return points, labels, hidden


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), written with tanh because exp(-x) overflows for very negative x."""
    half: Array = np.tanh(x / 2)
    return 0.5 * (1 + half)


def loss(weights: Array, points: Array, labels: Array) -> float:
    """Return the mean cross entropy in nats: the mean of log(1 + exp(z)) - label z with z = points @ weights."""
    z = points @ weights
    return float(np.mean(np.logaddexp(0, z) - labels * z))


def loss_gradient(weights: Array, points: Array, labels: Array) -> Array:
    """Return the derivative of `loss` by the weights, shape of the weights."""
    errors = sigmoid(points @ weights) - labels
    gradient: Array = points.T @ errors / len(labels)
    return gradient


def accuracy(weights: Array, points: Array, labels: Array) -> float:
    """Return the share of points that lie on their label's side."""
    return float(np.mean((points @ weights > 0) == (labels == 1)))


def main() -> None:
    """Train under mpirun if this is one of several processes, else on four simulated ranks; print the outcome."""
    from mpi4py import MPI

    if MPI.COMM_WORLD.Get_size() > 1:
        outcome = program(MPI.COMM_WORLD)
    else:
        from parallel.cluster import Cluster
        from parallel.comm import simulate

        outcome = simulate(program, ranks=4, cluster=Cluster(speeds=(1, 1, 1, 0.25))).results[SERVER]
    if outcome is not None:
        print(f"loss {outcome.loss:.4f} nats, accuracy {outcome.accuracy:.3f} (at best {outcome.best_accuracy:.3f})")
        for staleness, number in enumerate(outcome.staleness_histogram):
            print(f"staleness {staleness:2}: {number:4} updates")


if __name__ == "__main__":
    main()
