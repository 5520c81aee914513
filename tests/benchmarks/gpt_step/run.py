"""A GPT training step by minigrad, PyTorch eager and HIPS/autograd, in turn; see README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version

from workers import LIBRARIES, serve


class Worker:
    """A process that takes steps with one library when it is asked to."""

    def __init__(self, library: str, args: argparse.Namespace) -> None:
        words = [f"--{name}={getattr(args, name)}" for name in SHAPE]
        flags = [f"--{name}" for name in ("fused", "plain") if getattr(args, name)]
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MINIGRAD_THREADS"), str(args.threads))
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words, *flags, f"--library={library}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )
        self.library = library

    def take(self, steps: int) -> dict[str, float]:
        """Take steps; seconds and processor seconds of one, and the rest of the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(steps, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.library} worker ended; its error is above")
        answer: dict[str, float] = json.loads(line)
        return {**answer, "seconds": answer["seconds"] / steps, "processor": answer["processor"] / steps}

    def close(self) -> None:
        """No more steps."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


SHAPE = ("layers", "width", "heads", "vocabulary", "batch", "length", "threads")


def compare(peer: str, args: argparse.Namespace) -> None:
    """Run both in turn and print a row."""
    ours, theirs = Worker("minigrad", args), Worker(peer, args)
    try:
        first = [worker.take(args.warm_up) for worker in (ours, theirs)]
        pairs = [(ours.take(args.steps), theirs.take(args.steps)) for _ in range(args.pairs)]
    finally:
        ours.close()
        theirs.close()
    for mine, other in [first, *pairs]:
        if abs(mine["loss"] - other["loss"]) > 2e-3 * abs(other["loss"]):
            raise RuntimeError(f"not the same training: loss {mine['loss']} here, {other['loss']} with {peer}")
    milliseconds = [1e3 * statistics.median(pair[i]["seconds"] for pair in pairs) for i in (0, 1)]
    ratios = {
        key: statistics.median(mine[key] / other[key] for mine, other in pairs) for key in ("seconds", "processor")
    }
    fastest = [1e3 * min(pair[i]["seconds"] for pair in pairs) for i in (0, 1)]
    (mine, other) = pairs[-1]
    memory = " | ".join(f"{a['peak']:.0f} ({a['peak'] - a['before']:+.0f})" for a in (mine, other))
    shape = f"{args.layers} x {args.width}"
    print(
        f"| {shape} | {args.threads} | {peer}{' fused' if args.fused else ''} | {milliseconds[0]:.1f} | "
        f"{milliseconds[1]:.1f} | {ratios['seconds']:.2f} | {fastest[0]:.1f} | {fastest[1]:.1f} | "
        f"{fastest[0] / fastest[1]:.2f} | {ratios['processor']:.2f} | {memory} |",
        flush=True,
    )


def print_environment(args: argparse.Namespace) -> None:
    """What the figures depend on. OPENBLAS_CORETYPE is left as it is: it is the user's."""
    import numpy as np
    from threadpoolctl import threadpool_info

    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", *args.peers))
    print(f"Python {platform.python_version()}, {packages}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', '(not set)')}")
    np.ones(1) @ np.ones(1)
    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            print(f"NumPy's BLAS: {pool['internal_api']} {pool['version']}, kernels for {pool['architecture']}")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="*", default=["torch"], choices=["torch", "autograd"])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2, help="of each library (2)")
    parser.add_argument("--pairs", type=int, default=9, help="times that both are run in turn (9)")
    parser.add_argument("--steps", type=int, default=3, help="in each run (3)")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the first pair (3)")
    parser.add_argument("--fused", action="store_true", help="PyTorch's AdamW with fused=True")
    parser.add_argument("--plain", action="store_true", help="minigrad without BatchThreads and keep_freed_memory")
    parser.add_argument("--library", choices=list(LIBRARIES), help=argparse.SUPPRESS)  # in a worker
    return parser.parse_args(words)


def main() -> None:
    """Print the table."""
    args = parse()
    if args.library:
        serve(args)
        return
    print_environment(args)
    print(
        "| model | threads | peer | minigrad ms | peer ms | ratio | fastest ms | peer's | ratio | of processor time "
        "| peak MB, minigrad | peer |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for peer in args.peers:
        compare(peer, args)


if __name__ == "__main__":
    main()
