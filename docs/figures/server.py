"""What the parameter server's policies do with three workers: who computes, who waits, and when is applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from drawing import Drawing

from parallel.cluster import Cluster
from parallel.comm import elapse, simulate
from parallel.server import Asynchronous, Policy, Service, StaleSynchronous, Synchronous, Window, serve, work

SPEEDS = (1.0, 0.72, 0.31)  # the third worker is slow
SECONDS = 9.5
POLICIES: dict[str, Callable[[], Policy]] = {
    "Synchronous(): all wait for all": Synchronous,
    "Synchronous(backup=1): the slowest is not waited for": lambda: Synchronous(1),
    "Window(0.6): what comes within a time": lambda: Window(0.6),
    "StaleSynchronous(1): at most one clock ahead": lambda: StaleSynchronous(1),
    "Asynchronous(): nobody waits": Asynchronous,
}
LEFT, WIDTH, ROW = 96, 604, 20
PANEL = 132
INKS = ("blue", "green", "orange")


def draw() -> Drawing:
    """A panel for each policy: the workers' bars above, the server's updates below."""
    picture = Drawing(720, 60 + PANEL * len(POLICIES), "Three workers under five policies of the parameter server")
    says = "Bars: a worker computes. Circles: the server applies; open: it drops. Numbers: how stale."
    picture.text(20, 30, says, align="left", ink="soft", size=14.5)
    for number, (name, policy) in enumerate(POLICIES.items()):
        draw_policy(picture, 48 + PANEL * number, name, *run(policy))
    return picture


def run(policy: Callable[[], Policy]) -> tuple[list[Any], Service]:
    """The spans of the workers, and the server's record, in virtual time."""

    def program(comm: Any) -> Any:
        w = np.zeros(1)
        if comm.Get_rank() == 0:
            return serve(comm, w, lambda w, gradient, t: None, policy(), 40)

        def gradient(w: Any) -> Any:
            elapse(comm, 1.0, "gradient")
            return w

        return work(comm, w, gradient)

    simulation = simulate(program, 4, Cluster(alpha=1e-6, beta=0.0, speeds=(1.0, *SPEEDS)))
    return [span for span in simulation.spans if span.name == "gradient"], simulation.results[0]


def draw_policy(picture: Drawing, top: float, name: str, spans: list[Any], service: Service) -> None:
    """One panel."""

    def x(seconds: float) -> float:
        return LEFT + WIDTH * min(seconds, SECONDS) / SECONDS

    picture.rect(10, top, 700, PANEL - 10, fill="card", radius=8)
    picture.text(22, top + 20, name, align="left", bold=True, size=15)
    base = top + 30
    for worker, ink in enumerate(INKS):
        picture.text(LEFT - 10, base + ROW * worker + 13, f"worker {worker + 1}", align="right", ink="soft", size=13)
        for span in spans:
            if span.rank == worker + 1 and span.start < SECONDS - 0.05:
                start, end = x(span.start), x(span.end)
                picture.rect(start + 1, base + ROW * worker + 2, max(end - start - 2, 1), ROW - 6, fill=ink, radius=3,
                             opacity=0.55)  # fmt: skip
    line = base + 3 * ROW + 15
    picture.text(LEFT - 10, line + 5, "server", align="right", ink="soft", size=13)
    picture.line(LEFT, line, LEFT + WIDTH, line, ink="line", thickness=1)
    for update, time in enumerate(service.update_times, start=1):
        pushes = [push for push in service.pushes if push.update == update]
        if time > SECONDS - 0.05:
            break
        for place, push in enumerate(sorted(pushes, key=lambda push: push.worker)):
            across = x(time) + 9 * (place - (len(pushes) - 1) / 2)
            picture.circle(across, line, 6.5, fill=INKS[push.worker - 1])
            if push.staleness:
                picture.text(across, line - 9, str(push.staleness), size=11, bold=True)
    for push in service.pushes:
        if not push.update and push.time < SECONDS - 0.05:
            picture.circle(x(push.time), line, 5, fill="card", stroke=INKS[push.worker - 1])
