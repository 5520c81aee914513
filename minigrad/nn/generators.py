"""Which generator a layer draws from: its own, or one that stands in for it here.

Two threads that run one model on two parts of a batch must not draw from one generator: what each gets would depend
on who comes first. Each thread has a stand-in for every generator of the model. A ContextVar holds them, so that a
thread sees its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

import numpy as np

_stand_ins: ContextVar[Mapping[int, np.random.Generator] | None] = ContextVar("stand_ins", default=None)


def current(generator: np.random.Generator) -> np.random.Generator:
    """The generator itself, or what stands in for it in this context."""
    found = _stand_ins.get()
    return generator if found is None else found.get(id(generator), generator)


@contextlib.contextmanager
def standing_in(stand_ins: Mapping[int, np.random.Generator]) -> Iterator[None]:
    """Inside the block `current` gives these in place of the generators with these identities."""
    token = _stand_ins.set(stand_ins)
    try:
        yield
    finally:
        _stand_ins.reset(token)
