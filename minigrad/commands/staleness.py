"""`minigrad staleness`: the map of stable steps, its boundary predicted and measured twice, as PNG and CSV."""

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
Map the learning rates that stale gradients allow.

The model is one weight w with the loss a w^2 / 2, trained with gradients that are tau updates old:
w[t+1] = w[t] - eta a w[t-tau]. For every tau up to --max-tau the largest stable eta a is predicted and
measured in two ways. Written to --out: staleness.png (the map with the boundary), staleness-map.csv (its
numbers) and staleness-boundary.csv. The theory stands in docs/staleness.md.
"""
LARGEST_MAX_TAU = 128  # beyond it the roots take minutes
PATIENCE = 2.0  # s, after which a progress bar appears
ROWS = 12  # about as many lines of the table are printed; the CSV has them all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --max-tau and --out."""
    parser.add_argument(
        "--max-tau",
        metavar="N",
        default="32",
        help=f"largest staleness in updates, 0 to {LARGEST_MAX_TAU} (default: 32)",
    )
    parser.add_argument("--out", metavar="DIR", default="staleness", help="folder to write to (default: staleness)")


def run(args: argparse.Namespace) -> int:
    """Measure, draw, write the files, and print the boundary.

    Args:
        args: `max_tau` (int or text) and `out` (path or text).

    Returns:
        0.

    Raises:
        ValueError: `max_tau` is not a whole number from 0 to LARGEST_MAX_TAU.
        OSError: `out` is a file, or cannot be made or written to.
    """
    from parallel.studies.staleness import HALVINGS, plot, stability_boundary, sweep

    max_tau = checked_max_tau(args.max_tau)
    out = writable_folder(args.out)
    with progress("measuring the boundary", 2 * HALVINGS) as advance:
        measured = stability_boundary(max_tau, each_halving=advance)
    growth = sweep(max_tau, plot.step_grid(max_tau), plot.ITERATIONS)
    print_boundary(measured)
    for name, write in (
        ("staleness.png", lambda path: plot.save_png(path, growth, measured)),
        ("staleness-map.csv", growth.write_csv),
        ("staleness-boundary.csv", measured.write_csv),
    ):
        write(out / name)
        print(f"wrote {out / name}")
    return 0


def checked_max_tau(value: int | str) -> int:
    """Return `value` as a whole number from 0 to LARGEST_MAX_TAU, or refuse it."""
    try:
        max_tau = int(str(value))
    except ValueError:
        max_tau = -1
    if not 0 <= max_tau <= LARGEST_MAX_TAU:
        raise ValueError(f"max_tau={value} must be a whole number from 0 to {LARGEST_MAX_TAU}")
    return max_tau


def writable_folder(path: str | Path) -> Path:
    """Make the folder `path` if it is not there, or say why it cannot be written to."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"out={folder} must be a folder, it is a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"out={folder} must be a folder, it cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"out={folder} must be a folder one may write to, it is not")
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
