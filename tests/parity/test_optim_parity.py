"""Optimizers, schedules, clipping and weight averaging against PyTorch, 20 steps each.

Row `outside` of docs/conventions.md: 1e-10 relative in float64, 1e-5 in float32, both to the largest magnitude.
What PyTorch has not (Lion, LARS, LAMB) is held against the loops of naive_rules.py, which are float64 throughout.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from naive_rules import NAIVE

import minigrad as mg
from minigrad import optim
from minigrad.optim import schedules

torch = pytest.importorskip("torch")

STEPS, LR, PEAK = 20, 0.03, 0.4
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
SHAPES = ((3, 4), (5,), (2, 3, 4), ())

both_dtypes = pytest.mark.parametrize("dtype", TOLERANCE)


def difference(ours: Any, theirs: Any) -> float:
    """Largest difference over all arrays, relative to the largest magnitude."""
    ours, theirs = (np.concatenate([np.ravel(np.asarray(a, np.float64)) for a in arrays]) for arrays in (ours, theirs))
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def numbers(dtype: str, shapes: tuple[tuple[int, ...], ...] = SHAPES, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Parameters, and for each step their gradients."""
    rng = np.random.default_rng(seed)
    params = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    grads = [[np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in shapes] for _ in range(STEPS)]
    return params, grads


def our_run(make: Callable[..., Any], params: list[Any], grads: list[Any], after: Any = None) -> list[Any]:
    """Parameters after all steps of one of our optimizers."""
    tensors = [mg.nn.Parameter(param.copy()) for param in params]
    optimizer = make(tensors)
    for step, step_grads in enumerate(grads):
        for tensor, grad in zip(tensors, step_grads, strict=True):
            tensor.grad = mg.Tensor(grad)
        optimizer.step()
        if after:
            after(optimizer, step)
    return [tensor.data for tensor in tensors]


def their_run(make: Callable[..., Any], params: list[Any], grads: list[Any]) -> list[Any]:
    """Parameters after all steps of one of PyTorch's."""
    tensors = [torch.nn.Parameter(torch.tensor(param)) for param in params]
    optimizer = make(tensors)
    for step_grads in grads:
        for tensor, grad in zip(tensors, step_grads, strict=True):
            tensor.grad = torch.tensor(grad)
        optimizer.step()
    return [tensor.detach().numpy() for tensor in tensors]


class Pair(NamedTuple):
    """Ours and theirs, with what both are given."""

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    settings: dict[str, Any]

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.ours.__name__}({settings})"


OPTIMIZERS = [
    *[Pair(optim.SGD, torch.optim.SGD, settings) for settings in (
        {}, {"momentum": 0.9}, {"weight_decay": 0.1}, {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    )],
    *[Pair(optim.Adagrad, torch.optim.Adagrad, settings) for settings in ({}, {"weight_decay": 0.1, "eps": 1e-3})],
    *[Pair(optim.RMSprop, torch.optim.RMSprop, settings) for settings in (
        {}, {"momentum": 0.9, "weight_decay": 0.1}, {"alpha": 0.9, "centered": True, "eps": 1e-2},
        {"alpha": 0.9, "centered": True, "momentum": 0.5, "eps": 1e-2},
    )],
    *[Pair(optim.Adam, torch.optim.Adam, settings) for settings in ({}, {"betas": (0.8, 0.95), "weight_decay": 0.1})],
    *[Pair(optim.AdamW, torch.optim.AdamW, settings) for settings in (
        {}, {"betas": (0.8, 0.95), "weight_decay": 0.5, "eps": 1e-3},
    )],
    *[Pair(optim.Adafactor, torch.optim.Adafactor, settings) for settings in (
        {}, {"weight_decay": 0.1}, {"beta2_decay": -0.5, "d": 1.5},
    )],
]  # fmt: skip


def optimizer_difference(pair: Pair, dtype: str) -> float:
    """Between the two of a pair, after all steps."""
    params, grads = numbers(dtype)
    ours = our_run(lambda tensors: pair.ours(tensors, lr=LR, **pair.settings), params, grads)
    theirs = their_run(lambda tensors: pair.theirs(tensors, lr=LR, **pair.settings), params, grads)
    assert difference(ours, params) > 0.01
    assert all(array.dtype == dtype for array in ours)
    return difference(ours, theirs)


@both_dtypes
@pytest.mark.parametrize("pair", OPTIMIZERS, ids=str)
def test_optimizer(pair, dtype, parity):
    found = optimizer_difference(pair, dtype)
    assert found < TOLERANCE[dtype]
    parity("optimizer, 20 steps", str(pair), dtype, found)


@pytest.mark.parametrize("pair", OPTIMIZERS, ids=str)
def test_defaults_are_theirs(pair):
    """A call that names no hyperparameter means the same; Adafactor's first epsilon is the paper's, not theirs."""
    ours, theirs = pair.ours([mg.nn.Parameter(np.ones(2))]), pair.theirs([torch.nn.Parameter(torch.ones(2))])
    for name in ours.defaults.keys() & theirs.defaults.keys():
        if (pair.ours, name) != (optim.Adafactor, "eps"):
            assert ours.defaults[name] == theirs.defaults[name], name


@both_dtypes
def test_averaged_momentum_is_sgd_with_a_smaller_rate(dtype):
    params, grads = numbers(dtype)
    ours = our_run(lambda tensors: optim.AveragedMomentum(tensors, lr=LR, beta=0.9, weight_decay=0.1), params, grads)
    theirs = their_run(
        lambda tensors: torch.optim.SGD(tensors, lr=0.1 * LR, momentum=0.9, weight_decay=0.1), params, grads
    )
    assert difference(ours, theirs) < TOLERANCE[dtype]


@both_dtypes
@pytest.mark.parametrize("name", ["lion", "lars", "lamb", "adafactor"])
def test_what_has_a_loop_for_its_oracle(name, dtype, parity):
    shapes = ((3, 4), (5, 2))
    params, grads = numbers(dtype, shapes)
    ours = our_run(lambda tensors: optim.OPTIMIZERS[name](tensors, lr=LR, weight_decay=0.1), params, grads)
    loops = [
        np.array(NAIVE[name](param.tolist(), [step[i].tolist() for step in grads], [LR] * STEPS, weight_decay=0.1))
        for i, param in enumerate(params)
    ]
    assert difference(ours, loops) < TOLERANCE[dtype]
    parity("optimizer against a scalar loop", name, dtype, difference(ours, loops))


@both_dtypes
def test_parameter_groups(dtype):
    params, grads = numbers(dtype)

    def groups(tensors):
        return [{"params": tensors[:2], "weight_decay": 0.2}, {"params": tensors[2:], "lr": 0.1, "betas": (0.5, 0.9)}]

    ours = our_run(lambda tensors: optim.AdamW(groups(tensors), lr=LR), params, grads)
    theirs = their_run(lambda tensors: torch.optim.AdamW(groups(tensors), lr=LR), params, grads)
    assert difference(ours, theirs) < TOLERANCE[dtype]


def their_rates(make: Callable[..., Any], lr: float) -> list[float]:
    """The learning rates that a scheduler of PyTorch sets for the first steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)
    scheduler, rates = make(optimizer), []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # SequentialLR calls its parts in a way that it deprecates
            scheduler.step()
    return rates


their = torch.optim.lr_scheduler

SCHEDULES = {
    "constant": (
        lambda step: schedules.constant(step, lr=PEAK),
        lambda optimizer: their.ConstantLR(optimizer, factor=1.0),
    ),
    "step_decay": (
        lambda step: schedules.step_decay(step, lr=PEAK, step_size=6, gamma=0.5),
        lambda optimizer: their.StepLR(optimizer, step_size=6, gamma=0.5),
    ),
    "exponential": (
        lambda step: schedules.exponential(step, lr=PEAK, gamma=0.9),
        lambda optimizer: their.ExponentialLR(optimizer, gamma=0.9),
    ),
    "cosine": (
        lambda step: schedules.cosine(step, peak=PEAK, total_steps=STEPS, final=0.01),
        lambda optimizer: their.CosineAnnealingLR(optimizer, T_max=STEPS, eta_min=0.01),
    ),
    "linear_warmup": (
        lambda step: schedules.linear_warmup(step, peak=PEAK, warmup_steps=8),
        lambda optimizer: their.LinearLR(optimizer, start_factor=1 / 8, total_iters=7),
    ),
    "warmup_cosine": (
        lambda step: schedules.warmup_cosine(step, peak=PEAK, warmup_steps=5, total_steps=STEPS, final=0.01),
        lambda optimizer: their.SequentialLR(
            optimizer,
            [
                their.LinearLR(optimizer, start_factor=1 / 5, total_iters=4),
                their.CosineAnnealingLR(optimizer, T_max=STEPS - 5, eta_min=0.01),
            ],
            milestones=[5],
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name, parity):
    ours, theirs = SCHEDULES[name]
    rates = [ours(step) for step in range(STEPS)]
    assert name == "constant" or len(set(rates)) > 2
    expected = np.array(their_rates(theirs, PEAK))
    np.testing.assert_allclose(rates, expected, rtol=1e-10)
    parity("schedule", name, "float64", float(np.abs(rates - expected).max() / PEAK))


def with_gradients(grads: list[Any]) -> tuple[list[Any], list[Any]]:
    """Parameters of ours and of PyTorch's that have these gradients."""
    ours = [mg.nn.Parameter(np.zeros_like(grad)) for grad in grads]
    theirs = [torch.nn.Parameter(torch.zeros_like(torch.tensor(grad))) for grad in grads]
    for mine, other, grad in zip(ours, theirs, grads, strict=True):
        mine.grad, other.grad = mg.Tensor(grad.copy()), torch.tensor(grad)
    return ours, theirs


def gradients(ours: list[Any], theirs: list[Any]) -> tuple[list[Any], list[Any]]:
    return [p.grad.data for p in ours], [p.grad.numpy() for p in theirs]


@both_dtypes
def test_clipping_by_value(dtype):
    ours, theirs = with_gradients(numbers(dtype)[0])
    optim.clip_grad_value_(ours, 0.3)
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    assert difference(*gradients(ours, theirs)) == 0.0


@both_dtypes
def test_clipping_by_norm(dtype):
    """They divide by the norm plus 1e-6; with that put back, the two are equal."""
    grads = numbers(dtype)[0]
    ours, theirs = with_gradients(grads)
    our_norm = optim.clip_grad_norm_(ours, 0.3)
    their_norm = float(torch.nn.utils.clip_grad_norm_(theirs, 0.3))
    assert our_norm == pytest.approx(their_norm, rel=TOLERANCE[dtype])
    mine, others = gradients(ours, theirs)
    assert difference([g * their_norm / (their_norm + 1e-6) for g in mine], others) < TOLERANCE[dtype]


@both_dtypes
def test_moving_average(dtype):
    params, grads = numbers(dtype)
    averages: list[Any] = []

    def after(optimizer, step):
        if step == 0:
            averages.append(optim.ExponentialMovingAverage(optimizer.params, decay=0.9))
        averages[0].update()

    our_run(lambda tensors: optim.SGD(tensors, lr=LR), params, grads, after)

    model = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(param)) for param in params])
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    for step_grads in grads:
        for tensor, grad in zip(model, step_grads, strict=True):
            tensor.grad = torch.tensor(grad)
        optimizer.step()
        average.update_parameters(model)
    assert difference(averages[0].averages, [p.detach().numpy() for p in average.module]) < TOLERANCE[dtype]
