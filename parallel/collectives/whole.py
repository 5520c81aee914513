"""Collectives as one event: what a simulated communicator does with them at collective fidelity.

At message fidelity every message of a collective is an event of the simulation. At collective fidelity the ranks
meet once, the result is computed at once, in the order of the ranks, and the clocks move on by the closed form of
cost.py. Thousands of ranks are simulated that way. Both give the same times where all links are alike and all ranks
come at the same time. Sums may differ in their last bits, because the messages add in another order; every ring
chunk, for example, in that of its own way around the ring.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Seconds = Callable[[int, float, float], float]  # of p, alpha in s and beta in s/byte


def is_whole(comm: Any) -> bool:
    """Whether `comm` is simulated at collective fidelity."""
    return getattr(comm, "fidelity", "message") == "collective"


def describe(call: str, x: NDArray[Any], *settings: object) -> str:
    """What must be the same on all ranks, in words.

    >>> describe("reduce", np.zeros(3), "add", "root 0")
    'reduce(3 float64, add, root 0)'
    """
    return _in_words(call, x.size, x.dtype, settings)


@lru_cache(maxsize=1024)  # ten thousand ranks ask for the same words, and NumPy takes its time to spell a dtype
def _in_words(call: str, size: int, dtype: np.dtype[Any], settings: tuple[object, ...]) -> str:
    return f"{call}({', '.join(map(str, (f'{size} {dtype}', *settings)))})"


def whole_all_reduce(comm: Any, call: str, flat: NDArray[Any], op: np.ufunc, seconds: Seconds) -> bool:
    """Do an all-reduce as one event where `comm` asks for that.

    Args:
        comm: Any communicator.
        call: Name of the algorithm.
        flat: This rank's array, flat.
        op: What to combine with.
        seconds: The closed form of the algorithm.

    Returns:
        Whether it has been done.
    """
    if not is_whole(comm):
        return False

    def combine(parts: list[NDArray[Any]]) -> None:
        total = combined(parts, op)
        for part in parts:
            part[...] = total

    comm.whole_collective(describe(call, flat, op.__name__), flat, combine, seconds)
    return True


def combined(parts: list[NDArray[Any]], op: np.ufunc) -> NDArray[Any]:
    """All parts combined in the order of the ranks, in a new array."""
    total = np.empty_like(parts[0])
    total[...] = parts[0]
    for part in parts[1:]:
        op(total, part, out=total)
    return total
