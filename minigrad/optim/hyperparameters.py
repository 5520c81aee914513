"""The ranges of hyperparameters, by name: one table for all optimizers."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, TypeAlias

import numpy as np

Test: TypeAlias = Callable[[Any], bool]
Ranges: TypeAlias = dict[str, tuple[Test, str]]  # name -> (test, the range in words)


def number(low: float = -inf, high: float = inf) -> Test:
    """The test for a real number in [low, high)."""
    kinds = int | float | np.integer | np.floating
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool) and bool(low <= value < high)


def pair(test: Test) -> Test:
    """The test for a tuple or list of two that both pass `test`."""
    return lambda value: isinstance(value, tuple | list) and len(value) == 2 and all(map(test, value))


def positive(value: Any) -> bool:
    """Whether `value` is a real number above 0."""
    return value != 0 and number(0.0)(value)


def boolean(value: Any) -> bool:
    """Whether `value` is True or False."""
    return isinstance(value, bool)


RANGES: Ranges = {
    "lr": (number(0.0), "must not be negative, infinite or NaN"),
    "weight_decay": (number(0.0), "must not be negative, infinite or NaN"),
    "eps": (number(0.0), "must not be negative, infinite or NaN"),
    "momentum": (number(0.0, 1.0), "must lie in [0, 1)"),
    "beta": (number(0.0, 1.0), "must lie in [0, 1)"),
    "alpha": (number(0.0, 1.0), "must lie in [0, 1)"),
    "betas": (pair(number(0.0, 1.0)), "must be two numbers in [0, 1)"),
    "trust_coefficient": (positive, "must be positive"),
    "beta2_decay": (number(-inf, 0.0), "must be negative"),
    "d": (positive, "must be positive"),
    **dict.fromkeys(("nesterov", "centered", "bias_correction", "relative_step"), (boolean, "must be True or False")),
}


def check(settings: dict[str, Any], ranges: Ranges) -> None:
    """Refuse a value outside its range; names without a range pass.

    Raises:
        ValueError: naming the hyperparameter, its value and its range.

    >>> check({"momentum": 1.5}, RANGES)
    Traceback (most recent call last):
    ValueError: momentum=1.5 must lie in [0, 1)
    """
    for name, value in settings.items():
        test, in_words = ranges.get(name, (lambda value: True, ""))
        if not test(value):
            raise ValueError(f"{name}={value!r} {in_words}")


def rule_arguments(group: dict[str, Any]) -> dict[str, Any]:
    """What a rule takes by keyword from a parameter group."""
    return {name: value for name, value in group.items() if name not in ("params", "lr")}
