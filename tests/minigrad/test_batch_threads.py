"""A batch on several threads against the whole batch. Tolerances: docs/conventions.md, rows `k-ranks` and `bits`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.autograd import Watcher, is_grad_enabled, no_grad
from minigrad.nn import GPT, GPTConfig, Parameter
from minigrad.nn import functional as F
from minigrad.recompute import recompute_calls
from minigrad.train import BatchThreads, can_share_batch

K_RANKS = 1e-12
SHAPE = GPTConfig(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8)


def gpt(dropout: float = 0.0) -> GPT:
    shape = GPTConfig(11, 6, n_layer=2, n_head=2, n_embd=8, dropout=dropout)
    return GPT(shape, rng=np.random.default_rng(0), dtype=np.float64)


def tokens(rows: int, length: int = 6, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 11, (rows, length))


def gradients(model: nn.Module) -> dict[str, np.ndarray | None]:
    return {name: None if p.grad is None else p.grad.data.copy() for name, p in model.named_parameters()}


def assert_close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    scale = max(np.abs(g).max() for g in theirs.values() if g is not None)
    for name, other in theirs.items():
        assert (ours[name] is None) == (other is None), name
        if other is not None:
            np.testing.assert_allclose(ours[name], other, rtol=0, atol=K_RANKS * scale, err_msg=name)


def shared(model: GPT, count: int, x: np.ndarray, y: np.ndarray, **options: Any) -> tuple[float, dict[str, Any]]:
    model.zero_grad()
    loss = BatchThreads(model, count).backward(model.loss, x, y, **options)
    return loss, gradients(model)


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 5), count=st.sampled_from([1, 2, 3, 4, 5, 8]), scale=st.sampled_from([1.0, 1024.0]))
def test_equals_the_whole_batch(rows: int, count: int, scale: float) -> None:
    """Tied weights (the token table is the output layer), rows that do not divide, more threads than rows."""
    model, x, y = gpt(), tokens(rows), tokens(rows, seed=2)
    loss = model.loss(x, y)
    (loss * scale).backward()
    whole = gradients(model)
    ours, found = shared(model, count, x, y, scale=scale)
    assert ours == pytest.approx(loss.item(), rel=K_RANKS)
    assert_close(found, whole)


def test_adds_to_what_is_there_and_leaves_unused_and_frozen_parameters_alone() -> None:
    model, x, y = gpt(), tokens(3), tokens(3, seed=2)
    model.spare = Parameter(np.ones(2))
    model.norm.bias.requires_grad_(False)
    model.loss(x, y).backward()
    model.loss(x, y).backward()
    twice = gradients(model)
    model.zero_grad()
    threads = BatchThreads(model, 2)
    threads.backward(model.loss, x, y)
    threads.backward(model.loss, x, y)
    found = gradients(model)
    assert found["spare"] is None
    assert found["norm.bias"] is None
    assert_close(found, twice)


def test_each_part_counts_by_its_targets() -> None:
    """Targets that are left out stand in one part only; a part without any is passed over."""
    model = nn.Linear(3, 4, rng=np.random.default_rng(0), dtype=np.float64)
    x, y = np.random.default_rng(1).normal(size=(7, 3)), np.array([0, 1, 2, 3, -100, -100, -100])

    def loss_of(inputs: np.ndarray, labels: np.ndarray) -> mg.Tensor:
        return F.cross_entropy(model(mg.Tensor(inputs)), labels)

    def count(inputs: np.ndarray, labels: np.ndarray) -> int:
        return int((labels != -100).sum())

    for threads in (2, 3):
        model.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        whole = gradients(model)
        model.zero_grad()
        assert BatchThreads(model, threads).backward(loss_of, x, y, counts=count) == pytest.approx(loss.item(), 1e-12)
        assert_close(gradients(model), whole)
    with pytest.raises(ValueError, match="at least one target"):
        BatchThreads(model, 2).backward(loss_of, x, np.full(7, -100), counts=count)


@pytest.mark.parametrize("recomputed", [False, True])
def test_two_runs_are_equal_to_the_bit_with_dropout(recomputed: bool) -> None:
    """Each thread draws from a generator of its own; recomputation draws the same numbers again."""
    runs = []
    for _ in range(2):
        model = gpt(dropout=0.3)
        if recomputed:
            for block in model.blocks:
                recompute_calls(block)
        threads = BatchThreads(model, 2)
        for _ in range(2):
            threads.backward(model.loss, tokens(4), tokens(4, seed=2))
        runs.append(gradients(model))
    for name, first in runs[0].items():
        np.testing.assert_array_equal(first, runs[1][name], err_msg=name)


def test_recomputation_changes_nothing_on_threads() -> None:
    plain, recomputed = gpt(dropout=0.3), gpt(dropout=0.3)
    for block in recomputed.blocks:
        recompute_calls(block)
    x, y = tokens(4), tokens(4, seed=2)
    assert_close(shared(recomputed, 2, x, y)[1], shared(plain, 2, x, y)[1])


def test_masks_differ_between_threads_and_between_steps() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5, rng=np.random.default_rng(0)))
    drawn = []

    def loss_of(x: np.ndarray) -> mg.Tensor:
        dropped = model[1](mg.Tensor(np.ones((8, 8))))
        drawn.append(dropped.data)
        return (model[0](mg.Tensor(x)) * 1.0).sum()

    threads = BatchThreads(model, 2)
    for _ in range(2):
        threads.backward(loss_of, np.ones((4, 4), np.float32))
    assert len({mask.tobytes() for mask in drawn}) == 4


def test_the_parts_meet_in_different_threads() -> None:
    """A barrier for two lets nobody pass alone."""
    model, barrier = gpt(), threading.Barrier(2, timeout=20)

    def loss_of(x: np.ndarray, y: np.ndarray) -> mg.Tensor:
        barrier.wait()
        return model.loss(x, y)

    BatchThreads(model, 2).backward(loss_of, tokens(2), tokens(2))


@pytest.mark.parametrize("culprit", [0, 1])
def test_an_error_comes_out_when_all_threads_are_done(culprit: int) -> None:
    """With its traceback, no gradient added, and the same threads can be used again."""
    model, finished = gpt(), []
    x = tokens(2)
    x[culprit, 0] = 7
    x[1 - culprit, 0] = 3

    def loss_of(inputs: np.ndarray, targets: np.ndarray) -> mg.Tensor:
        if inputs[0, 0] == 7:
            raise ZeroDivisionError("planted")
        loss = model.loss(inputs, targets)
        threading.Event().wait(0.05)
        finished.append(True)
        return loss

    threads = BatchThreads(model, 2)
    with pytest.raises(ZeroDivisionError, match="planted") as caught:
        threads.backward(loss_of, x, tokens(2))
    assert any(entry.name == "loss_of" for entry in caught.traceback)
    assert finished == [True]
    assert all(gradient is None for gradient in gradients(model).values())
    threads.backward(model.loss, x, tokens(2))


def test_an_interrupt_waits_for_the_other_thread() -> None:
    """Ctrl-C arrives in the caller's thread, which runs the first part."""
    model, finished = gpt(), []
    caller = threading.get_ident()

    def loss_of(inputs: np.ndarray, targets: np.ndarray) -> mg.Tensor:
        if threading.get_ident() == caller:
            raise KeyboardInterrupt
        threading.Event().wait(0.05)
        finished.append(True)
        return model.loss(inputs, targets)

    with pytest.raises(KeyboardInterrupt):
        BatchThreads(model, 2).backward(loss_of, tokens(2), tokens(2))
    assert finished == [True]


def test_modes_of_the_caller_hold_in_every_thread() -> None:
    model, seen = gpt(), []

    def loss_of(x: np.ndarray, y: np.ndarray) -> mg.Tensor:
        seen.append((is_grad_enabled(), np.geterr()["over"]))
        with mg.set_grad_enabled(True):
            return model.loss(x, y)

    with no_grad(), np.errstate(over="raise"):
        BatchThreads(model, 2).backward(loss_of, tokens(2), tokens(2))
    assert seen == [(False, "raise")] * 2


def test_a_watcher_sees_one_operation_at_a_time() -> None:
    model, threads_seen = gpt(), set()

    class Spy(Watcher):
        def forward(self, op: Any, inputs: Any, params: Any) -> Any:
            threads_seen.add(threading.get_ident())
            return super().forward(op, inputs, params)

    with Spy():
        _, watched = shared(model, 2, tokens(4), tokens(4))
    assert threads_seen == {threading.get_ident()}
    assert_close(watched, shared(model, 2, tokens(4), tokens(4))[1])


def test_accumulation_and_threads_together() -> None:
    model, x, y = gpt(), tokens(5), tokens(5, seed=2)
    loss = model.loss(x, y)
    loss.backward()
    whole = gradients(model)
    model.zero_grad()
    pieces = [(x[:2], y[:2]), (x[2:], y[2:])]
    mean = BatchThreads(model, 2).accumulate(model.loss, pieces)
    assert mean == pytest.approx(loss.item(), rel=K_RANKS)
    assert_close(gradients(model), whole)


def test_before_the_last_micro_batch_is_when_gradients_may_leave() -> None:
    """A gradient that leaves for other ranks when it is complete must not leave after the first micro-batch."""
    model, calls = gpt(), []

    def loss_of(x: np.ndarray, y: np.ndarray) -> mg.Tensor:
        calls.append(len(x))
        return model.loss(x, y)

    pieces = [(tokens(n), tokens(n, seed=n)) for n in (1, 2, 3)]
    pieces.append((tokens(0), tokens(0)))  # without targets: the one before is the last
    BatchThreads(model, 1).accumulate(loss_of, pieces, before_last=lambda: calls.append(0))
    assert calls == [1, 2, 0, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """In another process, since a fork beside threads is what Python warns of."""
    code = """if True:
        import os, signal, warnings
        import numpy as np
        from minigrad import nn
        from minigrad.train import BatchThreads
        warnings.simplefilter("ignore")
        model = nn.Linear(3, 2, rng=np.random.default_rng(0))
        threads = BatchThreads(model, 2)
        def run():
            threads.backward(lambda x: (model(nn.Parameter(x)) ** 2).mean(), np.ones((4, 3), np.float32))
        run()
        if os.fork() == 0:
            signal.alarm(20)
            run()
            os._exit(0)
        raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_bad_input_is_refused() -> None:
    model = gpt()
    with pytest.raises(ValueError, match="count=0 threads must be at least 1"):
        BatchThreads(model, 0)
    with pytest.raises(ValueError, match="lengths"):
        BatchThreads(model, 2).backward(model.loss, tokens(2), tokens(3))
    normalised = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert not can_share_batch(normalised)
    with pytest.raises(ValueError, match="batch normalisation"):
        BatchThreads(normalised, 2)
    BatchThreads(normalised, 1)


def test_hooks_see_the_whole_gradient_once_and_nobody_else_has_its_memory() -> None:
    model, x, y = gpt(), tokens(4), tokens(4, seed=2)
    seen: list[np.ndarray] = []
    model.norm.weight.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.data.copy()))
    for count in (1, 2):
        model.zero_grad()
        BatchThreads(model, count).backward(model.loss, x, y)
        arrays = [p.grad.data for p in model.parameters()]
        assert not any(np.may_share_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert len(seen) == 2
    np.testing.assert_allclose(seen[1], seen[0], rtol=0, atol=K_RANKS * np.abs(seen[0]).max())
    np.testing.assert_array_equal(seen[1], model.norm.weight.grad.data)
