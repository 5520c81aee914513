"""The idea of the project in one picture: one program, two worlds, the same bits."""

from __future__ import annotations

import math

from drawing import Drawing

COLOURS = ("blue", "orange", "green", "purple")


def draw() -> Drawing:
    """The program above, the two worlds below it, and what they have in common at the bottom."""
    picture = Drawing(720, 470, "One program runs in a simulated world and under mpirun, with the same bits as result")
    picture.rect(180, 18, 360, 116, stroke="line", radius=8)
    program = "def program(comm):\n    loss.backward()\n    ring_all_reduce(comm, gradients)\n    optimizer.step()"
    for row, line in enumerate(program.splitlines()):
        picture.text(200, 46 + 24 * row, line, align="left", code=True, size=15)
    for x, words in ((180, "simulate(program, ranks=4)"), (540, "minigrad launch -n 4")):
        picture.arrow(360 + (x - 360) * 0.55, 136, x, 176, ink="line", thickness=2.5)
        picture.rect(x - 164, 178, 328, 232, stroke="line", radius=8)
        picture.text(x, 204, words, code=True, bold=True, size=15)
    simulated(picture, 180, 298)
    processes(picture, 540, 298)
    for x, words in ((180, "one process, one virtual clock a rank:"), (540, "MPI processes, on one machine")):
        picture.text(x, 378, words, size=14.5, ink="soft")
    for x, words in ((180, "repeatable, up to thousands of ranks"), (540, "or on many: real time, real speed")):
        picture.text(x, 398, words, size=14.5, ink="soft")
    picture.text(360, 447, "the same lines of code, the same bits as result", bold=True, size=17)
    return picture


def places(x: float, y: float, across: float, down: float) -> list[tuple[float, float]]:
    """Middles of four ranks on a ring."""
    angles = [math.pi / 2 * rank + math.pi / 4 for rank in range(4)]
    return [(x + across * math.sin(angle), y - down * math.cos(angle)) for angle in angles]


def ring(picture: Drawing, middles: list[tuple[float, float]], across: float, down: float) -> None:
    """Arrows from each rank to the next, which leave a rank's half width or half height free."""
    for rank, (x0, y0) in enumerate(middles):
        x1, y1 = middles[(rank + 1) % 4]
        dx = math.copysign(across, x1 - x0) if abs(x1 - x0) > 1 else 0.0
        dy = math.copysign(down, y1 - y0) if abs(y1 - y0) > 1 else 0.0
        picture.arrow(x0 + dx, y0 + dy, x1 - dx, y1 - dy, ink="soft")


def simulated(picture: Drawing, x: float, y: float) -> None:
    """Four ranks inside one box, with the clock that they share."""
    picture.rect(x - 118, y - 72, 236, 126, fill="paper", stroke="soft", thickness=2, radius=12)
    middles = places(x + 28, y - 8, 66, 54)
    ring(picture, middles, 23, 23)
    for rank, (at_x, at_y) in enumerate(middles):
        picture.circle(at_x, at_y, 19, stroke=COLOURS[rank])
        picture.text(at_x, at_y + 6, str(rank), bold=True, ink=COLOURS[rank], size=17)
    clock_x, clock_y = x - 80, y - 8
    picture.circle(clock_x, clock_y, 20, stroke="ink")
    picture.line(clock_x, clock_y, clock_x, clock_y - 13, thickness=2.5)
    picture.line(clock_x, clock_y, clock_x + 9, clock_y + 5, thickness=2.5)


def processes(picture: Drawing, x: float, y: float) -> None:
    """Four ranks, each a box of its own."""
    middles = places(x, y - 8, 104, 60)
    ring(picture, middles, 34, 24)
    for rank, (at_x, at_y) in enumerate(middles):
        picture.rect(at_x - 30, at_y - 21, 60, 42, fill="paper", stroke="soft", thickness=2, radius=8)
        picture.text(at_x, at_y + 6, str(rank), bold=True, ink=COLOURS[rank], size=17)
