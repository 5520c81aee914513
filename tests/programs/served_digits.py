"""An MLP learns the digits from a parameter server, by each policy: for both worlds."""

from dataclasses import replace
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.autograd import no_grad
from minigrad.data import LabelledData, load_digits
from minigrad.nn import MLP, Module
from minigrad.train import TrainConfig
from parallel.server import Asynchronous, Service, StaleSynchronous, Synchronous, Window
from parallel.server.training import train_with_server

POLICIES = {
    "synchronous": Synchronous,
    "asynchronous": Asynchronous,
    "ssp": lambda: StaleSynchronous(2),
    "window": lambda: Window(1e-3),
}
# A step that is stable with stale gradients, too: a third of what one worker alone would take.
CONFIG = TrainConfig(steps=240, batch_size=96, lr=0.01, validate_every=0, validation_windows=8)
ROUNDS = 140  # of the synchronous server: each is a mean over all workers' gradients


def accuracy(model: Module, data: LabelledData) -> float:
    """Share of the validation pictures that are told right."""
    with no_grad():
        answers = model(Tensor(data.validation_inputs)).numpy().argmax(axis=1)
    return float((answers == data.validation_targets).mean())


def updates_of(policy: str) -> int:
    """How many updates the server makes."""
    return ROUNDS if policy == "synchronous" else CONFIG.steps


def train_digits(comm: Any, policy: str, servers: int = 1) -> tuple[float, Service] | None:
    """Accuracy and record on rank 0."""
    data = load_digits()
    model = MLP([64, 48, 10], rng=np.random.default_rng(0))
    config = replace(CONFIG, steps=updates_of(policy))
    served = train_with_server(comm, model, data, config, POLICIES[policy](), servers)
    return None if served is None else (accuracy(model, data), served.service)
