"""Any optimizer's rule as what a server applies."""

from math import inf
from typing import Any

from minigrad.optim import RULES
from parallel.server.asynchronous import Apply, Array


def rule_update(name: str, lr: float, **settings: Any) -> Apply:
    """An optimizer's rule with its state and settings bound, as a server wants it.

    The state (momentum, running means) lives on the server and sees the gradients in the order of application.

    Args:
        name: Of a rule in minigrad.optim.RULES, such as "sgd" or "adamw".
        lr: Learning rate, above 0 and finite.
        settings: Of the rule, such as momentum=0.9.

    Returns:
        `apply(parameters, gradient, t)`.

    Raises:
        ValueError: If there is no such rule, or lr is not above 0 and finite.

    >>> import numpy as np
    >>> w = np.ones(2)
    >>> rule_update("sgd", 0.5)(w, np.ones(2), 1)
    >>> w
    array([0.5, 0.5])
    """
    if name not in RULES:
        raise ValueError(f"name={name!r} is no rule; there are {', '.join(sorted(RULES))}")
    if not 0 < lr < inf:
        raise ValueError(f"lr={lr!r} must be above 0 and finite")
    rule = RULES[name]
    state: dict[str, Any] = {}

    def apply(parameters: Array, gradient: Array, t: int) -> None:
        rule(parameters, gradient, state, lr, t, **settings)

    return apply
