"""Optimizers: a rule, the parameters it moves in groups, and their state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from minigrad.device import Array, device_of
from minigrad.kernels import threads
from minigrad.optim import saved_state
from minigrad.optim.hyperparameters import RANGES, Ranges, check, rule_arguments
from minigrad.optim.rules import State


class Trainable(Protocol):
    """What an optimizer sees of a parameter: an array, a gradient (or None), a count of writes."""

    data: Array
    grad: Any
    version: list[int]


Group: TypeAlias = dict[str, Any]
"""{"params": parameters, "lr": learning rate, and the rule's hyperparameters by name}."""


class Optimizer:
    """Applies a rule to every parameter that has a gradient.

    Parameters come as one list, or in groups that differ in a hyperparameter:

        AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3)

    `optimizer.param_groups` is the list of groups, each a dict with all its hyperparameters. They may be set between
    steps: `group["lr"] = ...`, or `optimizer.lr = ...` where there is one group.

    Args:
        params: parameters, or dicts of {"params": parameters, and hyperparameters that differ from the others'}.
        lr: learning rate of the groups that have none of their own.
        hyperparameters: passed on to the rule.

    Raises:
        ValueError: no parameters, one given twice, a hyperparameter out of its range or unknown to the rule.
        TypeError: something that is not a parameter.
    """

    rule: Callable[..., None]
    ranges: Ranges = RANGES

    def __init__(self, params: Iterable[Trainable] | Iterable[Group], lr: float, **hyperparameters: Any) -> None:
        self.defaults: dict[str, Any] = {"lr": lr, **hyperparameters}
        self.check_hyperparameters(self.defaults)
        self.param_groups: list[Group] = []
        self.state: list[State] = []
        self.steps: list[int] = []  # updates of each parameter
        for group in as_groups(params):
            self.add_param_group(group)
        if not self.param_groups:
            raise ValueError("the optimizer got no parameters")

    @property
    def params(self) -> list[Trainable]:
        """All parameters, group by group; `state` and `steps` have the same order."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    @property
    def lr(self) -> float:
        """The learning rate of the only group.

        Raises:
            ValueError: there are several groups.
        """
        return self._only_group()["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        check({"lr": value}, self.ranges)
        self._only_group()["lr"] = value

    def _only_group(self) -> Group:
        if len(self.param_groups) > 1:
            raise ValueError(
                f"optimizer.lr is for one parameter group, there are {len(self.param_groups)}; "
                'use optimizer.param_groups[i]["lr"]'
            )
        return self.param_groups[0]

    def add_param_group(self, group: Group) -> None:
        """Train more parameters, with hyperparameters of their own where the dict has them.

        Raises:
            ValueError, TypeError: as on construction; nothing is added then.
        """
        params = parameter_list(group["params"])
        if not params:
            raise ValueError(f"parameter group {len(self.param_groups)} has no parameters")
        given = {name: value for name, value in group.items() if name != "params"}
        if unknown := sorted(given.keys() - self.defaults.keys()):
            known = ", ".join(self.defaults)
            raise ValueError(f"{unknown[0]!r} is no hyperparameter of {type(self).__name__}; it has {known}")
        settings = self.defaults | given
        self.check_hyperparameters(settings)
        seen = {id(parameter) for parameter in self.params}
        for parameter in params:
            if id(parameter) in seen:
                raise ValueError(f"a parameter of shape {parameter.data.shape} was given to the optimizer twice")
            seen.add(id(parameter))
        self.param_groups.append({"params": params, **settings})
        self.state += [{} for _ in params]
        self.steps += [0 for _ in params]

    def check_hyperparameters(self, settings: dict[str, Any]) -> None:
        """Refuse values out of range; a subclass adds what concerns two of them.

        Raises:
            ValueError: naming the hyperparameter, its value and its range.
        """
        check(settings, self.ranges)

    def step(self) -> None:
        """Update every parameter in place from its `.grad`; one without a gradient stays as it is."""
        due = [
            (position, parameter, group)
            for position, (parameter, group) in enumerate(self._parameters_and_groups())
            if parameter.grad is not None and parameter.data.size > 0
        ]
        numbers = sum(parameter.data.size for _, parameter, _ in due)

        def update(some: slice) -> None:
            for position, parameter, group in due[some]:
                self._update(position, parameter, group)

        if numbers >= threads.THREADS_FROM and can_go_side_by_side([parameter.data for _, parameter, _ in due]):
            threads.for_row_blocks(update, len(due), numbers // max(len(due), 1), height=1)
        else:
            update(slice(0, len(due)))

    def _update(self, position: int, parameter: Trainable, group: Group) -> None:
        self.steps[position] += 1
        type(self).rule(
            parameter.data,
            parameter.grad.data,
            self.state[position],
            float(group["lr"]),  # NumPy computes float32 times np.float64 in float64
            self.steps[position],
            **rule_arguments(group),
        )
        parameter.version[0] += 1

    def _parameters_and_groups(self) -> Iterator[tuple[Trainable, Group]]:
        for group in self.param_groups:
            for parameter in group["params"]:
                yield parameter, group

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.params:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, besides parameters and gradients.

        Returns:
            "optimizer": name of the class; "param_groups": the groups, with positions for parameters; "steps": number
            of updates by position; "state": {name: array} by position. The arrays are the optimizer's own memory,
            all else is numbers, strings, lists and tuples.
        """
        groups, position = [], 0
        for group in self.param_groups:
            count = len(group["params"])
            groups.append({**group, "params": list(range(position, position + count))})
            position += count
        return {
            "optimizer": type(self).__name__,
            "param_groups": groups,
            "steps": list(self.steps),
            "state": [dict(entry) for entry in self.state],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, as copies. Everything is checked before anything is changed.

        Lists are as good as tuples for hyperparameters, since JSON knows no tuples.

        Raises:
            ValueError: the state of another optimizer, of other groups or of other parameters; hyperparameters out of
                range; arrays missing, too many, or of another shape or dtype than this rule makes.
        """
        settings, steps, arrays = saved_state.checked(self, state)
        for group, saved in zip(self.param_groups, settings, strict=True):
            group.update(saved)
        self.steps = steps
        self.state = arrays


def can_go_side_by_side(arrays: Sequence[Array]) -> bool:
    """Whether threads may write to these arrays at the same time.

    Not where two of them are the same memory, as weights tied by `.data` are: one would write over what the other has
    added. And not on a GPU, where a stream is a thread's own: another would not wait for what is queued in it.
    """
    if any(device_of(array) != "cpu" for array in arrays):
        return False
    return len({array.__array_interface__["data"][0] for array in arrays}) == len(arrays)


def as_groups(params: Iterable[Trainable] | Iterable[Group]) -> list[Group]:
    """Parameters as groups: dicts as they are, a plain list as one group."""
    if hasattr(params, "grad"):
        raise TypeError("params is a single tensor; give the optimizer a list of parameters")
    entries: list[Any] = list(params)
    if any(isinstance(entry, dict) for entry in entries):
        for position, entry in enumerate(entries):
            if not isinstance(entry, dict) or "params" not in entry:
                raise TypeError(f"params[{position}] must be a dict with 'params', as another entry is a dict")
        return entries
    return [{"params": entries}] if entries else []


def parameter_list(params: Any) -> list[Trainable]:
    """The parameters of a group; one alone may stand without a list.

    Raises:
        TypeError: an entry that is not a parameter.
        ValueError: the result of an operation, whose array is not the model's.
    """
    params = [params] if hasattr(params, "grad") else list(params)
    for position, parameter in enumerate(params):
        if not hasattr(parameter, "grad") or not hasattr(parameter, "data"):
            raise TypeError(f"params[{position}] is a {type(parameter).__name__}, not a parameter")
        if not getattr(parameter, "is_leaf", True):
            raise ValueError(f"params[{position}] is the result of an operation; only leaf tensors can be trained")
    return params
