"""The ring all-reduce on four ranks, chunk by chunk: what is drawn is what the code did."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from drawing import Drawing

from parallel import ring_all_reduce, simulate

RANKS = 4
COLOURS = ("blue", "orange", "green", "purple")
CELL, GAP = 32, 5


class Watched:
    """A communicator that keeps a copy of the array before every exchange."""

    def __init__(self, comm: Any, x: np.ndarray) -> None:
        self.comm, self.x = comm, x
        self.seen: list[np.ndarray] = []

    def Get_rank(self) -> int:
        """This rank."""
        return int(self.comm.Get_rank())

    def Get_size(self) -> int:
        """Number of ranks."""
        return int(self.comm.Get_size())

    def Sendrecv(self, *arguments: Any) -> None:
        """Look, then exchange."""
        self.seen.append(self.x.copy())
        self.comm.Sendrecv(*arguments)


def snapshots() -> np.ndarray:
    """Array (moments, ranks, chunks). Rank r contributes the bit 2^r, so a sum tells whom it is made of."""

    def program(comm: Any) -> list[np.ndarray]:
        x = np.full(RANKS, 1 << comm.Get_rank())
        watched = Watched(comm, x)
        ring_all_reduce(watched, x)
        return [*watched.seen, x]

    return np.array(simulate(program, ranks=RANKS).results).swapaxes(0, 1)


def draw() -> Drawing:
    """A row of grids for each phase."""
    moments = snapshots()
    picture = Drawing(720, 520, "Ring all-reduce on four ranks, chunk by chunk: reduce-scatter, then all-gather")
    picture.text(20, 32, "Phase 1, reduce-scatter: partial sums travel, and grow", align="left", bold=True, size=17)
    picture.text(20, 272, "Phase 2, all-gather: complete sums travel, and are copied", align="left", bold=True, size=17)
    for moment in range(4):
        title = "before" if moment == 0 else f"step {moment}"
        grid(picture, 66 + 166 * moment, 62, title, moments, moment, labels=moment == 0)
    draw_ring(picture, 100, 370)
    for moment in range(4, 7):
        grid(picture, 66 + 166 * (moment - 3), 302, f"step {moment}", moments, moment, labels=False)
    for y, words in (
        (484, "A cell is one chunk of the array on one rank. Its bars are the ranks whose numbers"),
        (504, "are in its sum so far. A framed cell has just arrived from the rank before."),
    ):
        picture.text(20, y, words, align="left", size=15, ink="soft")
    return picture


def grid(picture: Drawing, left: float, top: float, title: str, moments: np.ndarray, moment: int, labels: bool) -> None:
    """One moment: a row a rank, a column a chunk."""
    side = RANKS * CELL + (RANKS - 1) * GAP
    picture.text(left + side / 2, top + 4, title, size=15, ink="soft")
    for rank in range(RANKS):
        y = top + 14 + rank * (CELL + GAP)
        if labels:
            picture.text(left - 8, y + 21, f"rank {rank}", size=14, align="right", ink=COLOURS[rank], bold=True)
        for chunk in range(RANKS):
            x = left + chunk * (CELL + GAP)
            arrived = moment > 0 and moments[moment, rank, chunk] != moments[moment - 1, rank, chunk]
            cell(picture, x, y, int(moments[moment, rank, chunk]), arrived)


def cell(picture: Drawing, x: float, y: float, contributions: int, arrived: bool) -> None:
    """A chunk: one bar for each rank whose numbers it contains."""
    picture.rect(x, y, CELL, CELL, fill="card", stroke="ink" if arrived else "off", thickness=2.5 if arrived else 1)
    for rank, name in enumerate(COLOURS):
        present = contributions >> rank & 1
        picture.rect(x + 4 + 6.2 * rank, y + 5, 5, CELL - 10, fill=name if present else "off", radius=1.5)


def draw_ring(picture: Drawing, x: float, y: float) -> None:
    """Who sends to whom: every rank to its right neighbour, all at the same time."""
    radius, size = 52, 17
    places = [(x + radius * math.sin(math.pi / 2 * r), y - radius * math.cos(math.pi / 2 * r)) for r in range(RANKS)]
    for rank, (x0, y0) in enumerate(places):
        x1, y1 = places[(rank + 1) % RANKS]
        length = math.dist((x0, y0), (x1, y1))
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        picture.arrow(x0 + 20 * ux, y0 + 20 * uy, x1 - 20 * ux, y1 - 20 * uy, ink="soft")
    for rank, (x0, y0) in enumerate(places):
        picture.circle(x0, y0, size, fill="card", stroke=COLOURS[rank])
        picture.text(x0, y0 + 6, str(rank), bold=True, ink=COLOURS[rank], size=17)
