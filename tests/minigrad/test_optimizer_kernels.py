"""The fused updates against the rules they fuse. Tolerance: docs/conventions.md, row `bits`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from stand_in_cupy import ndarray

from minigrad import nn, optim
from minigrad.kernels import threads
from minigrad.kernels.optimizers_cpu import adamw_update, sgd_update
from minigrad.kernels.threads import use_threads
from minigrad.optim import rules

SHAPES = [(), (0,), (1,), (7,), (3, 5), (130, 3)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "BLOCK_ELEMENTS", 16)
    monkeypatch.setattr(threads, "THREADS_FROM", 0)
    with use_threads(2):
        yield


def normal(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=shape).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adamw_is_the_rule_to_the_last_bit(shape: tuple[int, ...], dtype: str, weight_decay: float) -> None:
    ours, theirs = normal(shape, dtype, 0), normal(shape, dtype, 0)
    state: rules.State = {}
    m, v = np.zeros_like(ours), np.zeros_like(ours)
    for t in (1, 2, 3):
        grad = normal(shape, dtype, t)
        kept = grad.copy()
        adamw_update(ours, grad, m, v, 1e-2, (0.9, 0.99), 1e-8, weight_decay, t)
        np.testing.assert_array_equal(grad, kept)
        rules.adamw(theirs, grad, state, 1e-2, t, betas=(0.9, 0.99), weight_decay=weight_decay)
    for mine, other in ((ours, theirs), (m, state["m"]), (v, state["v"])):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_the_rule_to_the_last_bit(
    shape: tuple[int, ...], dtype: str, momentum: float, weight_decay: float
) -> None:
    ours, theirs = normal(shape, dtype, 0), normal(shape, dtype, 0)
    state: rules.State = {}
    velocity = np.zeros_like(ours) if momentum else None
    for t in (1, 2, 3):
        grad = normal(shape, dtype, t)
        kept = grad.copy()
        sgd_update(ours, grad, velocity, 0.1, momentum, weight_decay)
        np.testing.assert_array_equal(grad, kept)
        rules.sgd(theirs, grad, state, 0.1, t, momentum=momentum, weight_decay=weight_decay)
    np.testing.assert_array_equal(ours, theirs)
    if velocity is not None:
        np.testing.assert_array_equal(velocity, state["momentum"])


def test_arrays_in_any_order_of_memory() -> None:
    """A parameter that is a view is updated where it lies; a gradient in Fortran's order is read in the right one."""
    table = normal((6, 8), "float64", 0)
    ours, theirs = table[:, ::2], table[:, ::2].copy()
    grad = normal((4, 6), "float64", 1).T
    for p in (ours, theirs):
        m, v = np.zeros((6, 4)), np.zeros((6, 4))
        adamw_update(p, grad, m, v, 1e-2, (0.9, 0.99), 1e-8, 0.1, 1)
    np.testing.assert_array_equal(table[:, ::2], theirs)
    np.testing.assert_array_equal(table[:, 1::2], normal((6, 8), "float64", 0)[:, 1::2])
    by_rule = normal((6, 8), "float64", 0)[:, ::2].copy()
    rules.adamw(by_rule, grad, {}, 1e-2, 1, betas=(0.9, 0.99), weight_decay=0.1)
    np.testing.assert_array_equal(theirs, by_rule)


@pytest.mark.parametrize(("where", "count"), [("apart", 2), ("on a GPU", 1), ("in one place", 1)])
def test_parameters_go_side_by_side_where_that_changes_nothing(where: str, count: int) -> None:
    """On a GPU another thread's stream would not wait for the caller's; in one place updates would get lost."""
    seen: list[int] = []

    class Slow(optim.Optimizer):
        """Slow enough for a second thread to join in."""

        @staticmethod
        def rule(param: Any, grad: Any, state: rules.State, lr: float, t: int) -> None:
            time.sleep(0.02)
            seen.append(threading.get_ident())

    params = [nn.Parameter(np.ones(8)) for _ in range(6)]
    for parameter in params:
        parameter.grad = parameter.detach()
        if where == "on a GPU":
            parameter.data = ndarray(np.ones(8))  # type: ignore[assignment]
    if where == "in one place":
        params[5].data = params[0].data
    Slow(params, lr=0.1).step()
    assert (len(seen), len(set(seen))) == (6, count)
