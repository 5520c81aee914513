"""The staleness laboratory: a server with 1,000 workers, and the map. Run: python tests/benchmarks/staleness/run.py."""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import greenlet
import numpy as np

from parallel import Cluster, elapse, simulate
from parallel.cluster import Exponential
from parallel.server import (
    SERVER,
    Asynchronous,
    StaleSynchronous,
    Synchronous,
    rule_update,
    serve,
    server,
    staleness_histogram,
    work,
    worker,
)
from parallel.studies.staleness import sweep
from parallel.studies.staleness.delays import race
from parallel.studies.staleness.replay import replay

NUMBERS = 100  # parameters
UPDATES = 100  # of each worker
STRAGGLERS = Cluster(alpha=1e-6, beta=1e-10, stragglers=Exponential())


def served(comm: Any, policy: Callable[[], Any] | None, updates: int) -> Any:
    """A server and its workers, whose steps take 1 s on average; without a policy the server of one page."""
    w = np.ones(NUMBERS)
    rule = rule_update("sgd", 1e-4)
    if comm.Get_rank() == SERVER:
        return server(comm, w, rule, updates) if policy is None else serve(comm, w, rule, policy(), updates)

    def gradient(w: np.ndarray) -> np.ndarray:
        elapse(comm, 1.0, "gradient")
        return w

    return worker(comm, w, gradient) if policy is None else work(comm, w, gradient)


def seconds(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median processor time of some runs, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
    return statistics.median(times), result


def print_server_table(workers: int, repeats: int) -> None:
    """Each policy with as many gradients."""
    rows: dict[str, tuple[Callable[[], Any] | None, int]] = {
        "asynchronous, the server of one page": (None, workers * UPDATES),
        "asynchronous": (Asynchronous, workers * UPDATES),
        "bounded staleness, s = 4": (partial(StaleSynchronous, 4), workers * UPDATES),
        "synchronous": (Synchronous, UPDATES),
    }
    print("| policy | workers | gradients | s | us a gradient | mean staleness |")
    print("|---|---|---|---|---|---|")
    for name, (policy, updates) in rows.items():
        run = partial(simulate, served, workers + 1, STRAGGLERS, args=(policy, updates), trace=False)
        taken, simulation = seconds(run, repeats)
        record = simulation.results[SERVER]
        stale = (
            float(np.mean([update.staleness for update in record]))
            if policy is None
            else float(np.average(np.arange(len(counts := staleness_histogram(record.pushes))), weights=counts))
        )
        gradients = workers * UPDATES
        print(f"| {name} | {workers:,} | {gradients:,} | {taken:.2f} | {taken / gradients * 1e6:.1f} | {stale:.1f} |")


def print_study_table(repeats: int) -> None:
    """The map and a replay."""
    delays = race(1000, 100_000, np.random.default_rng(0))
    rows = {
        "map of 33 delays x 200 steps, 1,000 updates": lambda: sweep(32, np.geomspace(0.01, 3, 200), 1000),
        "the same with momentum 0.9": lambda: sweep(32, np.geomspace(0.01, 3, 200), 1000, momentum=0.9),
        "replay of 1,000 memoryless workers, 100,000 updates": lambda: replay(delays, 1e-4),
    }
    print("| study | s |")
    print("|---|---|")
    for name, run in rows.items():
        print(f"| {name} | {seconds(run, repeats)[0]:.2f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000, help="(1000)")
    parser.add_argument("--repeats", type=int, default=3, help="the median counts (3)")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, greenlet {greenlet.__version__}\n")
    print_study_table(arguments.repeats)
    print()
    print_server_table(arguments.workers, arguments.repeats)


if __name__ == "__main__":
    main()
