"""Training a part of a model: the other parameters need no gradient, no optimizer state and no message."""

from __future__ import annotations

from fnmatch import fnmatch

from minigrad.nn import Module


def freeze(model: Module, *patterns: str) -> list[str]:
    """Let parameters with these names stay as they are.

    Args:
        model: whose parameters.
        patterns: dotted names, with * for any text: "blocks.0.*", "*.bias".

    Returns:
        The names that are frozen by this.

    Raises:
        ValueError: a pattern that no parameter has.

    >>> from minigrad.nn import MLP
    >>> freeze(MLP([2, 3, 1]), "layers.0.*")
    ['layers.0.weight', 'layers.0.bias']
    """
    return _switch(model, patterns, requires_grad=False)


def unfreeze(model: Module, *patterns: str) -> list[str]:
    """Train these parameters again; see `freeze`."""
    return _switch(model, patterns, requires_grad=True)


def frozen_names(model: Module) -> list[str]:
    """Names of the parameters that are frozen."""
    return [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


def _switch(model: Module, patterns: tuple[str, ...], requires_grad: bool) -> list[str]:
    parameters = dict(model.named_parameters())
    chosen = {pattern: [name for name in parameters if fnmatch(name, pattern)] for pattern in patterns}
    for pattern, names in chosen.items():
        if not names:
            raise ValueError(f"no parameter is named {pattern!r}; the first is {next(iter(parameters), 'none')!r}")
    wanted = {name for names in chosen.values() for name in names}
    for name in wanted:
        parameters[name].requires_grad_(requires_grad)
        parameters[name].grad = None  # what was collected before must not move it
    return [name for name in parameters if name in wanted]
