"""How much processor time the simulated world takes for a message. Run: python tests/benchmarks/simulator/run.py."""

import argparse
import platform
import time
from typing import Any

import greenlet
import numpy as np

from parallel import ring_all_reduce, simulate

REPEATS = 5  # the fastest counts: whatever else the machine does can only add time


def ring(comm: Any, n: int) -> None:
    """One ring all-reduce of n numbers."""
    ring_all_reduce(comm, np.ones(n, np.float32))


def exchange(comm: Any, steps: int) -> None:
    """The messages of a ring without its arithmetic."""
    x, y = np.ones(4, np.float32), np.ones(4, np.float32)
    right, left = (comm.Get_rank() + 1) % comm.Get_size(), (comm.Get_rank() - 1) % comm.Get_size()
    for _ in range(steps):
        comm.Sendrecv(x, right, 0, y, left, 0)


def microseconds_a_message(program: Any, ranks: int, argument: int, trace: bool, repeats: int) -> float:
    """The fastest of some runs, in microseconds of processor time for each message."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        messages = simulate(program, ranks, args=(argument,), trace=trace).messages
        best = min(best, (time.process_time() - start) / messages * 1e6)
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also 1,024 ranks, 2.1 million messages, once")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, greenlet {greenlet.__version__}")
    print("| ranks | program | messages | us a message | with trace |")
    print("|---|---|---|---|---|")
    for ranks in (8, 64, 256):
        steps = 2 * (ranks - 1)
        for name, program, argument in (("ring", ring, 4 * ranks), ("exchange", exchange, steps)):
            repeats = REPEATS if ranks > 8 else 20 * REPEATS
            plain, traced = (
                microseconds_a_message(program, ranks, argument, trace, repeats) for trace in (False, True)
            )
            print(f"| {ranks} | {name} | {ranks * steps:,} | {plain:.2f} | {traced:.2f} |")
    if arguments.large:
        plain = microseconds_a_message(ring, 1024, 4096, False, 1)
        print(f"| 1024 | ring | {1024 * 2046:,} | {plain:.2f} | - |")


if __name__ == "__main__":
    main()
