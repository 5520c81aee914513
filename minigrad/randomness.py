"""The generators a model draws from: found, remembered, replayed.

Dropout draws a new mask at every call. Whoever wants to compute the same thing twice (recomputation, a resumed
run) must put the generator back to where it stood.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.nn import Module
from minigrad.nn.generators import current

State = dict[str, Any]


def generators_of(module: Module) -> list[np.random.Generator]:
    """Every generator that the module or a part of it holds as an attribute, once, in the order found.

    In a thread where others stand in for them (nn/generators.py), these.
    """
    found: dict[int, np.random.Generator] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, np.random.Generator):
                found.setdefault(id(value), current(value))
    return list(found.values())


def states_of(generators: Iterable[np.random.Generator]) -> list[State]:
    """Where each generator stands: plain dicts, which JSON can hold."""
    return [dict(generator.bit_generator.state) for generator in generators]


def restore_states(generators: Sequence[np.random.Generator], states: Sequence[State]) -> None:
    """Put each generator back to where it stood.

    Raises:
        ValueError: another number of generators or another kind, before any is changed.
    """
    if len(generators) != len(states):
        raise ValueError(f"there are {len(states)} saved random states, the model has {len(generators)} generators")
    for generator, state in zip(generators, states, strict=True):
        kind = type(generator.bit_generator).__name__
        if state.get("bit_generator") != kind:
            raise ValueError(f"the saved random state is of a {state.get('bit_generator')}, the model's of a {kind}")
    for generator, state in zip(generators, states, strict=True):
        generator.bit_generator.state = state


@contextlib.contextmanager
def replayed(generators: Sequence[np.random.Generator], states: Sequence[State]) -> Iterator[None]:
    """Inside the block the generators draw again what they drew from `states`; behind it nothing has happened."""
    now = states_of(generators)
    restore_states(generators, states)
    try:
        yield
    finally:
        restore_states(generators, now)
