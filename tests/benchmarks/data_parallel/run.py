"""Data parallel on two one-thread ranks against one one-thread rank, at a fixed global batch.

    python tests/benchmarks/data_parallel/run.py      (or: make bench)

One job measures both, in alternation: rank 0 alone with the whole batch while rank 1 sleeps, then both with half
each. The figure is the median over the pairs of (time alone / time of two).
"""

import os
import platform
import statistics
import sys
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from minigrad import optim
from minigrad.data import TextData, standard_library_text
from minigrad.nn import GPT, GPTConfig
from minigrad.train import Replica, SingleProcess, TrainConfig, gradient_step
from parallel.comm.environment import job_size
from parallel.comm.launch import launch
from parallel.data_parallel import DataParallel

PAIRS, STEPS, BATCH, BLOCK = 9, 4, 16, 128


def timed_steps(replica: Replica, data: TextData, optimizer: optim.Optimizer) -> float:
    """Seconds for a few whole training steps."""
    config = TrainConfig(batch_size=BATCH)
    start = time.perf_counter()
    for step in range(STEPS):
        windows = np.arange(BATCH * step, BATCH * (step + 1))[replica.rank :: replica.size]
        gradient_step(replica, data, windows, config)
        optimizer.step()
    return time.perf_counter() - start


def sleep_until_all_are_here(comm: Any) -> None:
    """A barrier that leaves the core to others; MPI's own waits by spinning."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.001)


def main() -> None:
    """Measure, and let rank 0 print the table."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    data = TextData.from_text(standard_library_text(limit=200_000), BLOCK)
    model = GPT(GPTConfig(data.tokenizer.vocab_size, BLOCK), rng=np.random.default_rng(0))
    optimizer = optim.AdamW(model.parameters(), lr=1e-4)
    alone, together = SingleProcess(model), DataParallel(model, comm)
    pairs = []
    for _ in range(PAIRS + 1):
        one = timed_steps(alone, data, optimizer) if comm.rank == 0 else 0.0
        sleep_until_all_are_here(comm)
        two = timed_steps(together, data, optimizer)
        sleep_until_all_are_here(comm)
        pairs.append((one, two))
    if comm.rank == 0:
        report(pairs[1:])  # the first pair warms up


def report(pairs: list[tuple[float, float]]) -> None:
    """The table, with what it was measured on."""
    blas = next(info for info in threadpool_info() if info["user_api"] == "blas")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{blas['internal_api']} {blas['version']} for {blas['architecture']}, {blas['num_threads']} thread a rank, "
          f"OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', 'not set')}")  # fmt: skip
    ones, twos = ([pair[i] / STEPS for pair in pairs] for i in (0, 1))
    ratios = [one / two for one, two in pairs]
    print(f"| | median ms a step ({PAIRS} pairs) | samples/s |\n|---|---|---|")
    for name, seconds in (("1 rank", ones), ("2 ranks", twos)):
        print(f"| {name} | {1e3 * statistics.median(seconds):.1f} | {BATCH / statistics.median(seconds):.1f} |")
    print(f"speed-up: median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    if job_size() is None:
        sys.exit(launch([__file__], ranks=2, threads=1).returncode)
    main()
