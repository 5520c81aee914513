"""How much memory an optimizer's state takes: measured, beside what the literature says.

`python -m minigrad.optim.memory` prints the table.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from minigrad.optim.algorithms import LAMB, LARS, SGD, Adafactor, Adagrad, Adam, AdamW, AveragedMomentum, Lion, RMSprop
from minigrad.optim.optimizer import Optimizer


class MemoryRow(NamedTuple):
    """One optimizer's state.

    Attributes:
        optimizer: as one would write it.
        keeps: the arrays it keeps, and their size where it is not that of the parameter.
        measured: bytes of state per parameter after a step.
        literature: bytes per parameter by the source.
        source: paper and place.
    """

    optimizer: str
    keeps: str
    measured: float
    literature: float
    source: str


class Claim(NamedTuple):
    """What the literature says of an optimizer: numbers of state for a matrix of n rows and m columns."""

    name: str
    make: Callable[..., Optimizer]
    settings: dict[str, Any]
    numbers: Callable[[int, int], int]
    source: str


def nothing(n: int, m: int) -> int:
    """No state."""
    return 0


def one_array(n: int, m: int) -> int:
    """A number of state for each parameter."""
    return n * m


def two_arrays(n: int, m: int) -> int:
    """Two numbers of state for each parameter."""
    return 2 * n * m


def rows_and_columns(n: int, m: int) -> int:
    """A number of state for each row and each column."""
    return n + m


CLAIMS = (
    Claim("SGD", SGD, {}, nothing, "Robbins and Monro 1951"),
    Claim("SGD, momentum", SGD, {"momentum": 0.9}, one_array, "Sutskever 2013, eq. 1"),
    Claim("AveragedMomentum", AveragedMomentum, {}, one_array, "Kingma 2015, alg. 1 (m alone)"),
    Claim("Adagrad", Adagrad, {}, one_array, "Duchi 2011, diagonal form"),
    Claim("RMSprop", RMSprop, {}, one_array, "Tieleman 2012"),
    Claim("Adam", Adam, {}, two_arrays, "Rajbhandari 2020 (ZeRO), sec. 3.1"),
    Claim("AdamW", AdamW, {}, two_arrays, "Rajbhandari 2020 (ZeRO), sec. 3.1"),
    Claim("Adafactor", Adafactor, {}, rows_and_columns, "Shazeer 2018, alg. 4"),
    Claim("Lion", Lion, {}, one_array, "Chen 2023, alg. 2"),
    Claim("LARS", LARS, {}, one_array, "You 2017, alg. 1"),
    Claim("LAMB", LAMB, {}, two_arrays, "You 2020, alg. 2"),
)


def state_bytes(optimizer: Optimizer) -> int:
    """Bytes of all state arrays of an optimizer as it is now; before its first step it has none."""
    return sum(array.nbytes for entry in optimizer.state for array in entry.values())


def memory_table(rows: int = 256, columns: int = 256, dtype: str = "float32") -> list[MemoryRow]:
    """Take one step with each optimizer on a matrix, and weigh its state.

    Args:
        rows: of the matrix.
        columns: of the matrix; the shape matters to Adafactor alone.
        dtype: of the matrix, its gradient and the state.

    Returns:
        A row for each optimizer; SGD with and without momentum.
    """
    return [weighed(claim, rows, columns, np.dtype(dtype)) for claim in CLAIMS]


def weighed(claim: Claim, rows: int, columns: int, dtype: np.dtype[Any]) -> MemoryRow:
    """The row of one optimizer."""
    matrix = SimpleNamespace(
        data=np.ones((rows, columns), dtype), grad=SimpleNamespace(data=np.ones((rows, columns), dtype)), version=[0]
    )
    optimizer = claim.make([matrix], **claim.settings)
    optimizer.step()
    keeps = " + ".join(
        name if array.size == matrix.data.size else f"{name} ({array.size})"
        for name, array in optimizer.state[0].items()
    )
    return MemoryRow(
        claim.name,
        keeps or "nothing",
        state_bytes(optimizer) / matrix.data.size,
        claim.numbers(rows, columns) * dtype.itemsize / matrix.data.size,
        claim.source,
    )


def markdown(rows: list[MemoryRow]) -> str:
    """The table as Markdown."""
    lines = ["| optimizer | keeps | bytes per parameter | literature | source |", "|---|---|--:|--:|---|"]
    for row in rows:
        lines.append(
            f"| `{row.optimizer}` | {row.keeps} | {row.measured:.5g} | {row.literature:.5g} | {row.source} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(memory_table()))
