"""Training a model with the parameter server on simulated ranks.

Tolerances: docs/conventions.md, rows `k-ranks`, `k-ranks-run`, `bits`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs.served_digits import POLICIES, train_digits, updates_of
from programs.three_ways import differences
from threadpoolctl import threadpool_limits

from minigrad.data import LabelledData
from minigrad.nn import MLP
from minigrad.optim import RULES
from minigrad.serialize import load_arrays
from minigrad.train import Checkpoints, SingleProcess, StepRecord, TrainConfig, TrainingDivergedError, train
from parallel.cluster import Cluster, Exponential
from parallel.comm import simulate
from parallel.server import Asynchronous, StaleSynchronous, Synchronous, Window, clock_spread
from parallel.server.training import FlatModel, Served, served_parts, train_with_server

K_RANKS = 1e-12
K_RANKS_RUN = 1e-10
SMALL = TrainConfig(steps=4, batch_size=7, lr=0.02, clip=0.05, validate_every=2, validation_windows=5)


def points(seed: int = 0) -> LabelledData:
    """Made-up examples in float64."""
    rng = np.random.default_rng(seed)
    inputs, targets = rng.standard_normal((40, 5)), rng.integers(0, 3, 40)
    return LabelledData(inputs[:30], targets[:30], inputs[30:], targets[30:])


def fresh() -> MLP:
    """A model in float64, the same each time."""
    return MLP([5, 6, 3], rng=np.random.default_rng(1)).to(np.float64)


def program(comm: Any, config: TrainConfig, policy: Any, servers: int = 1, **more: Any) -> tuple[MLP, Served] | None:
    model = fresh()
    served = train_with_server(comm, model, points(), config, policy(), servers, **more)
    return None if served is None else (model, served)


def alone(config: TrainConfig) -> tuple[MLP, list[StepRecord]]:
    """One process with the whole batches."""
    model = fresh()
    return model, train(SingleProcess(model), points(), config)


def assert_equal_models(model: MLP, expected: MLP) -> None:
    for name, array in expected.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], array, rtol=0, atol=K_RANKS_RUN)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("policy", [Synchronous, lambda: StaleSynchronous(0, buffered=True), lambda: Window(1.0)])
def test_whoever_waits_for_all_is_one_process(workers: int, policy: Any) -> None:
    """Uneven parts of a batch of 7, clipping at work, losses and norms too."""
    model, served = simulate(program, workers + 1, args=(SMALL, policy)).results[0]
    expected, records = alone(SMALL)
    assert_equal_models(model, expected)
    for record, other in zip(served.records, records, strict=True):
        assert record.loss == pytest.approx(other.loss, abs=K_RANKS_RUN)
        assert record.grad_norm == pytest.approx(other.grad_norm, abs=K_RANKS_RUN)
        assert record.grad_norm > SMALL.clip  # or the test would not see the clipping
        assert (record.step, record.lr, record.tokens) == (other.step, other.lr, other.tokens)
        for name in ("validation_loss", "validation_before"):
            assert getattr(record, name) == pytest.approx(getattr(other, name), abs=K_RANKS_RUN)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_a_synchronous_server_is_the_ring_is_one_process(workers: int) -> None:
    """Row `k-ranks`: plain descent with momentum divides by nothing small."""
    server, *rest = simulate(differences, workers + 1).results
    assert server["server"] <= K_RANKS
    assert all(found["ring"] <= K_RANKS for found in rest)


@pytest.mark.parametrize("servers", [2, 3, 5])
def test_several_servers_are_one(servers: int) -> None:
    """Without clipping, which each server does for its part alone."""
    config = replace(SMALL, clip=1e9)
    model, served = simulate(program, servers + 2, args=(config, Synchronous, servers)).results[0]
    expected, records = alone(config)
    assert_equal_models(model, expected)
    assert [record.loss for record in served.records] == pytest.approx([record.loss for record in records])
    assert served.records[-1].validation_loss == pytest.approx(records[-1].validation_loss, abs=K_RANKS_RUN)


def test_the_parts_of_several_servers_obey_the_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    rule = RULES["adamw"]

    def watched(param: np.ndarray, grad: np.ndarray, *args: Any, **settings: Any) -> None:
        seen.append(float((grad**2).sum()))
        rule(param, grad, *args, **settings)

    monkeypatch.setattr("minigrad.optim.AdamW.rule", staticmethod(watched))
    simulate(program, 4, args=(replace(SMALL, steps=1), Synchronous, 2))
    assert 0 < np.sqrt(sum(seen)) <= SMALL.clip * (1 + 1e-12)


@pytest.mark.parametrize("servers", [1, 2, 3, 4])
def test_every_parameter_is_served_once(servers: int) -> None:
    from parallel.collectives.ring import chunk

    flat = FlatModel(fresh())
    before = flat.values.copy()
    for server in range(servers):
        part = chunk(len(flat.values), servers, server)
        for piece in served_parts(flat, part):
            assert piece.data.size == piece.place.stop - piece.place.start
            piece.data += 1.0  # a view, and of its place
            np.testing.assert_array_equal(flat.values[part][piece.place], piece.data.reshape(-1))
    np.testing.assert_array_equal(flat.values[1:], before[1:] + 1.0)
    assert flat.values[0] == before[0]  # the loss is no parameter
    np.testing.assert_array_equal(flat.parameters[0].data.reshape(-1), before[1:31] + 1.0)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_digits_are_learnt_with_stragglers(policy: str) -> None:
    cluster = Cluster(stragglers=Exponential(), seed=1)

    def learn(comm: Any) -> Any:
        return train_digits(comm, policy)

    with threadpool_limits(limits=1):
        accuracy, service = simulate(learn, 4, cluster, trace=False).results[0]
    assert accuracy >= 0.95
    assert service.updates == updates_of(policy)
    if policy == "ssp":
        assert clock_spread(service.pushes) <= 2


def test_a_checkpoint_is_gone_on_with_by_one_process(tmp_path: Any) -> None:
    """Two synchronous updates on a server, then two more without: the run of one process. Row `k-ranks-run`."""
    checkpoints = Checkpoints(tmp_path, every=2)
    simulate(lambda comm: program(comm, replace(SMALL, steps=4), Synchronous, checkpoints=checkpoints), 3)
    (tmp_path / "step-00000004").rename(tmp_path / "later")
    model = fresh()
    records = train(SingleProcess(model), points(), SMALL, checkpoints=Checkpoints(tmp_path, resume=True))
    expected, whole = alone(SMALL)
    assert_equal_models(model, expected)
    assert [record.loss for record in records] == pytest.approx([record.loss for record in whole], abs=K_RANKS_RUN)


@pytest.mark.parametrize(
    ("scale", "lr", "error", "sentence"),
    [
        (np.nan, 0.1, FloatingPointError, r"not finite at update 1; the parameters.* have norm \d"),
        (1e200, 0.1, TrainingDivergedError, r"diverged at step 1: gradient norm inf"),
        (1.0, 1e200, TrainingDivergedError, r"diverged at step \d: parameters overflow after a gradient of norm \d"),
    ],
)
def test_a_run_that_diverges_stops_and_saves_nothing_that_is_not_finite(
    scale: float, lr: float, error: Any, sentence: str, tmp_path: Path
) -> None:
    data = points()
    data.inputs[:] *= scale
    checkpoints = Checkpoints(tmp_path, every=1)

    def diverging(comm: Any) -> Any:
        config = replace(SMALL, validate_every=0, lr=lr)
        return train_with_server(comm, fresh(), data, config, Asynchronous(), checkpoints=checkpoints)

    with pytest.raises(error, match=sentence):
        simulate(diverging, 3)
    for path in tmp_path.glob("step-*/*.safetensors"):
        assert all(np.isfinite(array).all() for array in load_arrays(path).values())


def test_what_a_server_cannot_do_is_refused(tmp_path: Any) -> None:
    for settings, servers, checkpoints, sentence in (
        ({"precision": "float16"}, 1, None, "precision='float16' needs loss scaling"),
        ({}, 1, Checkpoints(tmp_path, resume=True), "resume=True: a server cannot go on"),
        ({}, 2, Checkpoints(tmp_path, every=1), "every=1 needs one server that has it all, there are servers=2"),
        ({}, 5, None, "comm must have at least 6 ranks"),
        ({"batch_size": 1}, 1, None, "cannot share a batch of 1 examples"),
    ):
        config = replace(SMALL, **settings)
        with pytest.raises(ValueError, match=sentence):
            simulate(
                lambda comm, c=config, s=servers, k=checkpoints: program(comm, c, Synchronous, s, checkpoints=k), 4
            )
