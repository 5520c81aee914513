"""`minigrad staleness`: what stale gradients do to training, measured and drawn, and a page to try it on."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallel.studies.staleness import Boundary

HELP = """\
Measure and draw what stale gradients do to training.

pictures:
  map        growth and decay over staleness and step, the boundary predicted and measured twice
  boundary   the critical step with momentum, positive and negative
  random     delays drawn by chance: uniform, Poisson, geometric
  momentum   the momentum that asynchrony alone gives to the mean weight
  remedies   rates divided by tau, clipping, warm-up, compensation and others, on one diverging run
  network    critical learning rates of real models against the largest eigenvalue of their Hessian
  stragglers who waits for whom, and what that costs: efficiency, throughput, the race against the clock
  ssp        bounded staleness: faster steps against worse steps, and the best bound
  all        all of them (the default)

Each is written to --out as staleness-NAME.png, .svg and .csv, and all together with sliders for staleness, step and
momentum as staleness.html, one file that needs no network. The theory stands in docs/staleness.md.
"""
EXAMPLES = """\
examples:
  minigrad staleness                     everything; under a minute, most of it for the networks
  minigrad staleness map --max-tau 64
  minigrad staleness boundary remedies --out pictures
"""
LARGEST_MAX_TAU = 128  # beyond it the roots take minutes
LARGEST_SEEDS = 100
PATIENCE = 2.0  # s, after which a progress bar appears
ROWS = 12  # about as many lines of the table are printed; the CSV has them all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad staleness` takes."""
    parser.epilog = EXAMPLES
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="which, by name (default: all)")
    parser.add_argument(
        "--max-tau",
        metavar="N",
        default="32",
        help=f"largest staleness of map and boundary, 0 to {LARGEST_MAX_TAU} (default: 32)",
    )
    parser.add_argument(
        "--seeds", metavar="N", default="3", help="runs of each network; races go by it, too (default: 3)"
    )
    parser.add_argument("--out", metavar="DIR", default="staleness", help="folder to write to (default: staleness)")


def run(args: argparse.Namespace) -> int:
    """Measure, draw, write the files, and print the boundary.

    Args:
        args: `pictures` (list of names), `max_tau` and `seeds` (int or text) and `out` (path or text).

    Returns:
        0.

    Raises:
        ValueError: no such picture, or a number out of range.
        OSError: `out` is a file, or cannot be made or written to.
    """
    from threadpoolctl import threadpool_limits

    from minigrad.serialize import write_atomically
    from parallel.studies.staleness import pictures
    from parallel.studies.staleness.page import page

    names = pictures.chosen(args.pictures)
    settings = pictures.Settings(
        max_tau=whole("max_tau", args.max_tau, 0, LARGEST_MAX_TAU),
        seeds=whole("seeds", args.seeds, 1, LARGEST_SEEDS),
    )
    out = writable_folder(args.out)
    modules = {name: pictures.PICTURES[name].load() for name in names}
    parts = sum(module.work(settings) for module in modules.values())
    # One BLAS thread: the matrices are small, and threads that wait for one another take longer than one alone.
    with threadpool_limits(limits=1), progress("measuring", parts) as advance:
        results = {name: module.measure(settings, advance) for name, module in modules.items()}
    if "map" in results:
        print_boundary(results["map"].measured)
    for name, result in results.items():
        for path in pictures.write(name, result, out):
            print(f"wrote {path}")
    path = out / "staleness.html"
    write_atomically(path, page(names, out).encode())
    print(f"wrote {path}")
    return 0


def whole(name: str, value: int | str, least: int, most: int) -> int:
    """Return `value` as a whole number within limits, or refuse it by the name of its argument."""
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise ValueError(f"{name}={value} must be a whole number from {least} to {most}")
    return number


def writable_folder(path: str | Path, option: str = "--out") -> Path:
    """Make the folder `path` if it is not there, or say why what `option` names cannot be written to."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{option} {folder} must be a folder, it is a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{option} {folder} must be a folder, it cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{option} {folder} must be a folder one may write to, it is not")
    return folder


def print_boundary(measured: Boundary) -> None:
    """Print the boundary for some delays, and the largest error of all."""
    last = len(measured.tau) - 1
    every = 1 + last // ROWS
    print("tau   theory     by radius  by running")
    for index in sorted({*range(0, last + 1, every), last}):
        theory, radius, running = measured.theory[index], measured.by_radius[index], measured.by_running[index]
        print(f"{measured.tau[index]:<5} {theory:.6f}   {radius:.6f}   {running:.6f}")
    error = max(abs(measured.by_radius - measured.theory).max(), abs(measured.by_running - measured.theory).max())
    print(f"largest difference from the theory, tau 0 to {last}: {error:.1e}")


@contextmanager
def progress(task: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function to call after each of `total` parts; a terminal shows a bar after PATIENCE."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    row = bar.add_task(task, total=total)
    begun = time.monotonic()

    def advance() -> None:
        bar.advance(row)
        if bar.console.is_terminal and not bar.live.is_started and time.monotonic() - begun > PATIENCE:
            bar.start()

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
