"""Data parallel on two one-thread ranks against one one-thread rank, at a fixed global batch.

    python tests/benchmarks/data_parallel/run.py      (or: make bench)

One job measures all, in alternation: rank 0 alone with the whole batch while rank 1 sleeps, then both with half
each, with buckets that leave beside the backward and with buckets that leave behind it. A figure is the median over the
rounds of (time alone / time of two).
"""

import os
import platform
import statistics
import sys
import time
from typing import Any

import numpy as np

from minigrad import optim
from minigrad.allocation import keep_freed_memory
from minigrad.commands.kernels import blas_description
from minigrad.data import TextData, standard_library_text
from minigrad.nn import GPT, GPTConfig
from minigrad.train import Replica, SingleProcess, TrainConfig, gradient_step
from parallel.comm.environment import job_size
from parallel.comm.launch import launch
from parallel.data_parallel import DataParallel

ROUNDS, STEPS, BATCH, BLOCK = 9, 4, 16, 128
ALONE = "1 rank"


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
    keep_freed_memory()  # as `minigrad train` does: else one rank, whose arrays are twice as large, pays more for pages
    data = TextData.from_text(standard_library_text(limit=200_000), BLOCK)

    def model() -> GPT:
        return GPT(GPTConfig(data.tokenizer.vocab_size, BLOCK), rng=np.random.default_rng(0))

    replicas: dict[str, Replica] = {
        ALONE: SingleProcess(model()),
        "2 ranks, beside the backward": DataParallel(model(), comm),
        "2 ranks, behind the backward": DataParallel(model(), comm, overlap=False),
    }
    optimizers = {name: replica.make_optimizer(optim.AdamW, lr=1e-4) for name, replica in replicas.items()}
    seconds: dict[str, list[float]] = {name: [] for name in replicas}
    for _ in range(ROUNDS + 1):
        for name, replica in replicas.items():
            if name != ALONE or comm.rank == 0:
                seconds[name].append(timed_steps(replica, data, optimizers[name]) / STEPS)
            sleep_until_all_are_here(comm)
    if comm.rank == 0:
        report({name: found[1:] for name, found in seconds.items()})  # the first round warms up


def report(seconds: dict[str, list[float]]) -> None:
    """The table, with what it was measured on."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{blas_description()}, of each rank")
    print(f"| | median ms a step ({ROUNDS} rounds) | samples/s | speed-up: median, range |\n|---|---|---|---|")
    for name, found in seconds.items():
        ratios = [one / two for one, two in zip(seconds[ALONE], found, strict=True)]
        median = statistics.median(found)
        spread = f"{statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}"
        print(f"| {name} | {1e3 * median:.1f} | {BATCH / median:.1f} | {spread} |")


if __name__ == "__main__":
    if job_size() is None:
        sys.exit(launch([__file__], ranks=2, threads=1).returncode)
    main()
