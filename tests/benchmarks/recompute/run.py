"""What recomputation costs and saves: 64 equal blocks in 8 segments, and a GPT whose blocks are recomputed.

    python tests/benchmarks/recompute/run.py      (or: make bench)

With and without take turns on one thread; the figure is the median over the pairs of (time with / time without).
"""

import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from minigrad import nn
from minigrad.graph import SavedActivations
from minigrad.recompute import recompute_calls, recompute_sequential
from minigrad.tensor import Tensor

BLOCKS, SEGMENTS, WIDTH, ROWS, PAIRS = 64, 8, 256, 512, 15


def blocks(recomputed: bool) -> Callable[[], None]:
    """Forward and backward of equal blocks, each a linear layer and a GELU."""
    rng = np.random.default_rng(0)
    layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH, rng=rng), nn.GELU()) for _ in range(BLOCKS)]
    model, x = nn.Sequential(*layers), Tensor(rng.standard_normal((ROWS, WIDTH)).astype(np.float32))

    def step() -> None:
        model.zero_grad()
        y = recompute_sequential(layers, SEGMENTS, x) if recomputed else model(x)
        (y * y).sum().backward()

    return step


def gpt(recomputed: bool) -> Callable[[], None]:
    """Forward and backward of the GPT that `minigrad train` trains."""
    model = nn.GPT(nn.GPTConfig(vocab_size=96), rng=np.random.default_rng(0))
    tokens = np.random.default_rng(1).integers(0, 96, (16, 129))
    for block in model.blocks if recomputed else ():
        recompute_calls(block)

    def step() -> None:
        model.zero_grad()
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()

    return step


def seconds(step: Callable[[], None]) -> float:
    """Processor time of one step: on one thread it is what the step takes on a machine that does nothing else."""
    start = time.process_time()
    step()
    return time.process_time() - start


def peak(step: Callable[[], None]) -> float:
    """Largest memory that the graph held, in MiB."""
    with SavedActivations() as saved:
        step()
    return saved.peak / 2**20


def main() -> None:
    """Measure and print the table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}")
    print("| | MiB kept | recomputed | time with / without | from | to |\n|---|---|---|---|---|---|")
    for name, make in ((f"{BLOCKS} blocks in {SEGMENTS} segments", blocks), ("GPT, each block", gpt)):
        plain, saving = make(False), make(True)
        seconds(plain), seconds(saving)  # warm up
        ratios = [seconds(saving) / seconds(plain) for _ in range(PAIRS)]
        print(f"| {name} | {peak(plain):.1f} | {peak(saving):.1f} | {statistics.median(ratios):.2f} "
              f"| {min(ratios):.2f} | {max(ratios):.2f} |")  # fmt: skip


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
