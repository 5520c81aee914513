"""All rules by name."""

from __future__ import annotations

from collections.abc import Callable

from minigrad.optim.adafactor import adafactor
from minigrad.optim.layerwise import lamb, lars
from minigrad.optim.rules import adagrad, adam, adamw, averaged_momentum, lion, rmsprop, sgd

Rule = Callable[..., None]

RULES: dict[str, Rule] = {
    "sgd": sgd,
    "averaged_momentum": averaged_momentum,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
    "adafactor": adafactor,
    "lion": lion,
    "lars": lars,
    "lamb": lamb,
}
