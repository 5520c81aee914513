"""Rules applied block by block against the same rules on the whole. Row `bits` of docs/conventions.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad.optim import blockwise, rules
from minigrad.optim.blockwise import in_blocks

RULES: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    "averaged_momentum": {"weight_decay": 0.1},
    "adagrad": {},
    "rmsprop": {"centered": True, "momentum": 0.5},
    "adam": {"weight_decay": 0.1},
    "adamw": {},
    "lion": {"weight_decay": 0.1},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RULES)
def test_blocks_change_no_bit(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8 in 27 numbers: the last one is short."""
    monkeypatch.setattr(blockwise, "BLOCK", 8)
    rule = getattr(rules, name)
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 9)).astype(dtype)
    states: list[dict[str, np.ndarray]] = [{}, {}]
    params = [start.copy(), start.copy()]
    for t in range(1, 4):
        grad = rng.normal(size=(3, 9)).astype(dtype)
        rule(params[0], grad, states[0], 1e-2, t, **RULES[name])
        rule.__wrapped__(params[1], grad, states[1], 1e-2, t, **RULES[name])
    np.testing.assert_array_equal(params[0], params[1])
    assert params[0].dtype == dtype
    assert states[0].keys() == states[1].keys()
    for key, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][key])
        assert (array.shape, array.dtype) == (start.shape, start.dtype)


def test_what_cannot_be_cut_is_done_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transposed parameter has no flat view: cutting a copy would update the copy."""
    monkeypatch.setattr(blockwise, "BLOCK", 4)
    seen = []

    @in_blocks
    def rule(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], lr: float, t: int) -> None:
        seen.append(param.shape)
        param -= lr * grad

    param = np.ones((3, 4)).T
    rule(param, np.ones((4, 3)), {}, 0.5, 1)
    np.testing.assert_array_equal(param, np.full((4, 3), 0.5))
    rule(np.ones((3, 4)), np.ones((4, 3)).T, {}, 0.5, 1)
    assert seen == [(4, 3), (3, 4)]
    rule(np.ones((3, 4)), np.ones((3, 4)), {}, 0.5, 1)
    assert seen[2:] == [(4,)] * 3
