"""The picture of exercise 06: who sends what when in the student's ring, on four simulated ranks."""

from typing import Any

import numpy as np


def run(case: dict[str, Any]) -> Any:
    """One all-reduce of 4,000 numbers on four ranks; its spans."""
    from parallel.cluster import Cluster
    from parallel.collectives.ring import ring_all_reduce
    from parallel.comm import simulate

    def program(comm: Any) -> None:
        ring_all_reduce(comm, np.ones(4000))

    simulation = simulate(program, ranks=4, cluster=Cluster(alpha=2e-6, beta=1e-9))
    return {"spans": [tuple(span) for span in simulation.spans], "time": simulation.time}


def draw(figure: Any, data: dict[str, Any]) -> Any:
    """The message timeline."""
    from minigrad.trace import Span
    from parallel.plots import message_timeline

    spans = [Span(*span) for span in data["spans"]]
    best = 2 * 3 * (2e-6 + 8 * 1000 * 1e-9)
    title = f"your ring on 4 ranks: {data['time'] * 1e6:.1f} µs; 2 (p - 1) (alpha + n/p beta) is {best * 1e6:.1f} µs"
    return message_timeline(spans, title=title)
