"""Checking a saved optimizer state, whole, before any of it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.device import Array, array_module, device_of
from minigrad.optim.hyperparameters import rule_arguments
from minigrad.optim.rules import State

if TYPE_CHECKING:
    from minigrad.optim.optimizer import Optimizer

Settings = dict[str, Any]

KEYS = ("optimizer", "param_groups", "steps", "state")


def checked(optimizer: Optimizer, saved: dict[str, Any]) -> tuple[list[Settings], list[int], list[State]]:
    """The hyperparameters by group, update counts and copied arrays of a saved state that fits the optimizer.

    Raises:
        ValueError: it does not fit; the sentence says where.
    """
    for key in KEYS:
        if key not in saved:
            raise ValueError(f"the optimizer state has no entry {key!r}")
    name = type(optimizer).__name__
    if saved["optimizer"] != name:
        raise ValueError(f"the state is of {saved['optimizer']}, the optimizer is {name}")
    for key in KEYS[1:]:
        if not isinstance(saved[key], list):
            raise ValueError(f"{key!r} of the optimizer state must be a list, not {type(saved[key]).__name__}")
    for position, entry in enumerate([*saved["param_groups"], *saved["state"]]):
        if not isinstance(entry, dict):
            raise ValueError(f"the optimizer state has {entry!r} where a dict belongs (entry {position})")
    groups = checked_groups(optimizer, saved["param_groups"])
    steps = checked_steps(len(optimizer.params), saved["steps"])
    return groups, steps, checked_arrays(optimizer, groups, steps, saved["state"])


def checked_groups(optimizer: Optimizer, saved: list[Settings]) -> list[Settings]:
    """The hyperparameters of each group, without its parameters."""
    if len(saved) != len(optimizer.param_groups):
        raise ValueError(f"state is for {len(saved)} parameter groups, the optimizer has {len(optimizer.param_groups)}")
    groups = []
    for position, (own, group) in enumerate(zip(optimizer.param_groups, saved, strict=True)):
        if differing := sorted(own.keys() ^ group.keys()):
            raise ValueError(f"parameter group {position}: {differing[0]!r} is in the state or the optimizer, not both")
        if len(group["params"]) != len(own["params"]):
            raise ValueError(
                f"parameter group {position}: state is for {len(group['params'])} parameters, "
                f"the optimizer has {len(own['params'])}"
            )
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in group.items()}
        del settings["params"]
        optimizer.check_hyperparameters(settings)
        groups.append(settings)
    return groups


def checked_steps(count: int, saved: list[int]) -> list[int]:
    """The number of updates of each parameter."""
    if len(saved) != count:
        raise ValueError(f"state has {len(saved)} counts of steps for {count} parameters")
    for position, steps in enumerate(saved):
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise ValueError(f"steps={steps!r} of parameter {position} must be a whole number, not negative")
    return list(saved)


def checked_arrays(
    optimizer: Optimizer, groups: list[Settings], steps: list[int], saved: list[dict[str, Array]]
) -> list[State]:
    """Copies of the arrays of each parameter."""
    if len(saved) != len(steps):
        raise ValueError(f"state is for {len(saved)} parameters, the optimizer has {len(steps)}")
    settings_of = [
        settings for own, settings in zip(optimizer.param_groups, groups, strict=True) for _ in own["params"]
    ]
    states = []
    for position, parameter in enumerate(optimizer.params):
        expected: State = {}
        if steps[position]:
            expected = first_state(type(optimizer).rule, parameter.data, settings_of[position])
        check_arrays(position, expected, saved[position])
        make = array_module(device_of(parameter.data)).array  # copies, to where the parameter is
        states.append({name: make(array) for name, array in saved[position].items()})
    return states


def first_state(rule: Any, param: Array, settings: Settings) -> State:
    """The arrays that a rule keeps for a parameter: what it makes in a step by a gradient of zeros."""
    state: State = {}
    rule(np.zeros_like(param), np.zeros_like(param), state, 0.0, 1, **rule_arguments(settings))
    return state


def check_arrays(position: int, expected: State, arrays: dict[str, Array]) -> None:
    """Refuse arrays of other names, shapes or dtypes than the rule makes."""
    if differing := sorted(expected.keys() ^ arrays.keys()):
        problem = "lacks" if differing[0] in expected else "has an unexpected"
        raise ValueError(f"the state of parameter {position} {problem} {differing[0]!r}")
    for name, array in arrays.items():
        for attribute in ("shape", "dtype"):
            found, wanted = getattr(array, attribute), getattr(expected[name], attribute)
            if found != wanted:
                raise ValueError(f"state {name!r} of parameter {position} has {attribute} {found}, not {wanted}")
