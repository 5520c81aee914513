"""Optimizers: a rule, the parameters it moves, and their state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from minigrad.device import Array
from minigrad.optim import rules


class Trainable(Protocol):
    """What an optimizer sees of a parameter: an array, a gradient (or None), a count of writes."""

    data: Array
    grad: Any
    version: list[int]


class Optimizer:
    """Applies a rule to every parameter that has a gradient.

    Args:
        params: the parameters.
        lr: learning rate; `optimizer.lr` may be set between steps, by a schedule for example.
        hyperparameters: passed on to the rule.

    Raises:
        ValueError: no parameters, or a negative learning rate.
    """

    rule: Callable[..., None]

    def __init__(self, params: Iterable[Trainable], lr: float, **hyperparameters: Any) -> None:
        self.params = list(params)
        if not self.params:
            raise ValueError("the optimizer got no parameters")
        if lr < 0.0:
            raise ValueError(f"lr={lr} must not be negative")
        self.lr = lr
        self.hyperparameters = hyperparameters
        self.state: list[rules.State] = [{} for _ in self.params]
        self.steps = [0 for _ in self.params]

    def step(self) -> None:
        """Update every parameter in place from its `.grad`; one without a gradient stays as it is."""
        for position, parameter in enumerate(self.params):
            if parameter.grad is None:
                continue
            self.steps[position] += 1
            type(self).rule(
                parameter.data,
                parameter.grad.data,
                self.state[position],
                self.lr,
                self.steps[position],
                **self.hyperparameters,
            )
            parameter.version[0] += 1

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.params:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Learning rate, hyperparameters, update counts and state arrays, by position of the parameter."""
        return {
            "lr": self.lr,
            "hyperparameters": dict(self.hyperparameters),
            "steps": list(self.steps),
            "state": [dict(entry) for entry in self.state],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: a state for another number of parameters, or arrays of another shape.
        """
        if len(state["state"]) != len(self.params):
            raise ValueError(f"state is for {len(state['state'])} parameters, the optimizer has {len(self.params)}")
        for position, (entry, parameter) in enumerate(zip(state["state"], self.params, strict=True)):
            for name, array in entry.items():
                if array.shape != parameter.data.shape:
                    raise ValueError(
                        f"state {name!r} of parameter {position} has shape {array.shape}, not {parameter.data.shape}"
                    )
        self.lr = state["lr"]
        self.hyperparameters = dict(state["hyperparameters"])
        self.steps = list(state["steps"])
        self.state = [{name: array.copy() for name, array in entry.items()} for entry in state["state"]]


class SGD(Optimizer):
    """Gradient descent with optional momentum; see `minigrad.optim.rules.sgd`."""

    rule = staticmethod(rules.sgd)

    def __init__(
        self,
        params: Iterable[Trainable],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if nesterov and momentum <= 0.0:
            raise ValueError(f"nesterov=True needs momentum > 0, got {momentum}")
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


class AdamW(Optimizer):
    """Adam with decoupled weight decay; see `minigrad.optim.rules.adamw`."""

    rule = staticmethod(rules.adamw)

    def __init__(
        self,
        params: Iterable[Trainable],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)
