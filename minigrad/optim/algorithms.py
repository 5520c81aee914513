"""The optimizers: each a rule with a signature, as in PyTorch where PyTorch has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad.optim import adafactor, layerwise, rules
from minigrad.optim.hyperparameters import RANGES, number, pair
from minigrad.optim.optimizer import Group, Optimizer, Trainable

Params = Iterable[Trainable] | Iterable[Group]


class SGD(Optimizer):
    """Gradient descent with optional momentum; see `minigrad.optim.rules.sgd`."""

    rule = staticmethod(rules.sgd)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def check_hyperparameters(self, settings: dict[str, Any]) -> None:
        """Nesterov's step looks ahead along the momentum, so there must be some."""
        super().check_hyperparameters(settings)
        if settings["nesterov"] and settings["momentum"] <= 0.0:
            raise ValueError(f"nesterov=True needs momentum > 0, got {settings['momentum']}")


class AveragedMomentum(Optimizer):
    """Momentum as a running mean; see `minigrad.optim.rules.averaged_momentum`."""

    rule = staticmethod(rules.averaged_momentum)

    def __init__(self, params: Params, lr: float = 1e-2, beta: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, beta=beta, weight_decay=weight_decay)


class Adagrad(Optimizer):
    """Steps divided by the root of summed squares; see `minigrad.optim.rules.adagrad`."""

    rule = staticmethod(rules.adagrad)

    def __init__(self, params: Params, lr: float = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, eps=eps, weight_decay=weight_decay)


class RMSprop(Optimizer):
    """Steps divided by a running root mean square; see `minigrad.optim.rules.rmsprop`."""

    rule = staticmethod(rules.rmsprop)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(
            params, lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )


class Adam(Optimizer):
    """Momentum over root mean square, both corrected; see `minigrad.optim.rules.adam`."""

    rule = staticmethod(rules.adam)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        bias_correction: bool = True,
    ) -> None:
        super().__init__(
            params, lr, betas=betas, eps=eps, weight_decay=weight_decay, bias_correction=bias_correction
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay; see `minigrad.optim.rules.adamw`."""

    rule = staticmethod(rules.adamw)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)


class Adafactor(Optimizer):
    """Adam's second moment from a row and a column; see `minigrad.optim.adafactor.adafactor`."""

    rule = staticmethod(adafactor.adafactor)
    ranges = RANGES | {"eps": (pair(number(0.0)), "must be two numbers that are not negative")}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float, float] = (1e-30, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        relative_step: bool = True,
    ) -> None:
        super().__init__(
            params,
            lr,
            beta2_decay=beta2_decay,
            eps=eps,
            d=d,
            weight_decay=weight_decay,
            relative_step=relative_step,
        )


class Lion(Optimizer):
    """The sign of a mean gradient; see `minigrad.optim.rules.lion`."""

    rule = staticmethod(rules.lion)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, betas=betas, weight_decay=weight_decay)


class LARS(Optimizer):
    """Heavy ball with a step in proportion to the parameter's norm; see `minigrad.optim.layerwise.lars`."""

    rule = staticmethod(layerwise.lars)

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:
        super().__init__(
            params, lr, momentum=momentum, weight_decay=weight_decay, trust_coefficient=trust_coefficient
        )


class LAMB(Optimizer):
    """Adam with a step in proportion to the parameter's norm; see `minigrad.optim.layerwise.lamb`."""

    rule = staticmethod(layerwise.lamb)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)


# By the name of the rule in minigrad.optim.RULES.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "averaged_momentum": AveragedMomentum,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "adafactor": Adafactor,
    "lion": Lion,
    "lars": LARS,
    "lamb": LAMB,
}
