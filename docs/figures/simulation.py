"""A small program in the simulated world: who posts what when, what is matched, and how long it travels."""

from __future__ import annotations

from typing import Any

import numpy as np
from drawing import Drawing

from minigrad.trace import Span, messages
from parallel import ANY_SOURCE, Cluster, Simulation, elapse, simulate

SECONDS_OF_WORK = (3.0, 1.0, 2.0)
SCALE, LEFT, TOP, LANE = 76, 92, 96, 104  # pixels a second, and where the lanes lie
COLOURS = ("blue", "orange", "green")


def program(comm: Any) -> None:
    """Rank 0 works for 3 s and then takes two messages from whoever sent them; the others work less and send."""
    rank, x = comm.Get_rank(), np.zeros(1)
    elapse(comm, SECONDS_OF_WORK[rank])
    if rank == 0:
        comm.Recv(x, source=ANY_SOURCE)
        comm.Recv(x, source=ANY_SOURCE)
    else:
        comm.Send(x, dest=0)


def run() -> Simulation:
    """On a network so slow that a message of 8 bytes takes 2 s: 1.2 of latency, 0.1 for each byte."""
    return simulate(program, ranks=3, cluster=Cluster(alpha=1.2, beta=0.1))


def draw() -> Drawing:
    """A lane for each rank, drawn from the spans of the run, and the order in which the ranks acted."""
    simulation = run()
    picture = Drawing(720, 452, "Three simulated ranks on their virtual clocks: work, posts, matches and transfers")
    picture.text(20, 32, "Virtual time, one lane a rank", align="left", bold=True, size=17)
    for second in range(8):
        x = at(second)
        picture.line(x, TOP - 26, x, TOP + 2 * LANE + 72, ink="off", thickness=1)
        picture.text(x, TOP - 34, f"{second} s", size=14, ink="soft")
    for rank in range(3):
        draw_lane(picture, rank, [span for span in simulation.spans if span.rank == rank])
    for send, receive in messages(simulation.spans):
        draw_message(picture, send, receive)
    posts = sorted((work, rank) for rank, work in enumerate(SECONDS_OF_WORK))
    for turn, (second, rank) in enumerate(posts):
        x, y = at(second), TOP + LANE * rank + 20
        picture.circle(x, y, 12, fill="card", stroke="ink")
        picture.text(x, y + 5, str(turn + 1), size=14, bold=True)
    for y, words in (
        (414, "1, 2, 3: the order in which they act, always the rank with the smallest clock."),
        (435, "The receive 3 fits both sends and takes the one posted first; its transfer starts at this match."),
    ):
        picture.text(20, y, words, align="left", size=14.5, ink="soft")
    return picture


def at(second: float) -> float:
    """Horizontal place of a moment."""
    return LEFT + SCALE * second


def draw_lane(picture: Drawing, rank: int, spans: list[Span]) -> None:
    """Work as a full box, waiting as an empty one."""
    y = TOP + LANE * rank
    picture.text(LEFT - 14, y + 25, f"rank {rank}", align="right", bold=True, ink=COLOURS[rank], size=16)
    for span in spans:
        width = SCALE * span.duration
        if span.kind == "compute":
            picture.rect(at(span.start), y, width, 40, fill=COLOURS[rank], radius=4, opacity=0.3)
            label = "work" if width < 2.5 * SCALE else f"work: elapse(comm, {span.duration:g})"
            picture.text(at(span.start) + width / 2 - 4, y + 25, label, size=14)
        elif span.kind == "wait":
            picture.rect(at(span.start), y, width, 40, fill="none", stroke=COLOURS[rank], radius=4, dash="5 4")
            words = "in Recv" if rank == 0 else "in Send"
            picture.text(at(span.start) + width / 2 + 6, y + 25, words, size=14, ink="soft")


def draw_message(picture: Drawing, send: Span, receive: Span) -> None:
    """The transfer as a bar below the sender's lane, and an arrow to where it arrives."""
    y = TOP + LANE * send.rank
    width = SCALE * send.duration
    picture.rect(at(send.start), y + 46, width, 24, fill=COLOURS[send.rank], radius=4, opacity=0.85)
    picture.tag("text", "α + 8β", x=float(at(send.start) + width / 2), y=float(y + 63), font_size=14,
                text_anchor="middle", style="fill:var(--paper);font-weight:650")  # fmt: skip
    picture.arrow(at(send.end), y + 46, at(receive.end), TOP + LANE * receive.rank + 42, ink=COLOURS[send.rank])
