"""`minigrad demo`: the tour in three parts, each with its numbers."""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from minigrad.commands.train_settings import DEFAULTS

HELP = """\
The tour: a GPT learns on real MPI processes whose gradients travel through our own ring all-reduce; the proof
that this is what one process computes; the boundary beyond which stale gradients make training unstable.
"""
EXAMPLES = """\
examples:
  minigrad demo                    two to three minutes on two cores, pictures in demo/
  minigrad demo --steps 100        a shorter look
"""
BATCH_SIZE = DEFAULTS["batch_size"]  # of `minigrad train`, and of the proof
AGREEMENT = 1e-10  # the row `k-ranks-run` of docs/conventions.md


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad demo` takes."""
    parser.epilog = EXAMPLES
    parser.add_argument("--steps", type=int, default=300, help="training steps (300)")
    parser.add_argument("--ranks", type=int, default=2, metavar="N", help="MPI processes (2)")
    parser.add_argument("--out", default="demo", metavar="DIR", help="folder for the pictures (demo)")


def run(args: argparse.Namespace) -> int:
    """Run the three parts and sum them up."""
    from minigrad.commands.train import make_folder

    for option, value in (("--steps", args.steps), ("--ranks", args.ranks)):
        if value < 1:
            raise ValueError(f"{option} {value} must be at least 1")
    if args.ranks > BATCH_SIZE:
        raise ValueError(f"--ranks {args.ranks} exceeds the {BATCH_SIZE} windows of a batch; each rank needs one")
    folder = make_folder(args.out)
    start = time.perf_counter()
    rows: list[tuple[str, str, str]] = []
    for part in (train_gpt, prove_equality, draw_staleness):
        status = part(args, folder, rows)
        if status:
            return status
    summary(rows, time.perf_counter() - start)
    prefix = "" if shutil.which("minigrad") else f"{Path(sys.executable).parent}/"
    print(f"\nthe pictures are in {folder}/; next: {prefix}minigrad generate --run {folder}")
    return 0


def headline(text: str) -> None:
    """The title of a part."""
    print(f"\n=== {text}\n", flush=True)


def train_gpt(args: argparse.Namespace, folder: Path, rows: list[tuple[str, str, str]]) -> int:
    """Part 1: `minigrad train` on several ranks."""
    from minigrad.cli import main

    headline(f"1. A small GPT on {args.ranks} MPI processes")
    command = ["train", "--model", "gpt", "--strategy", "ddp", "--out", str(folder)]
    status = main([*command, "--ranks", str(args.ranks), "--steps", str(args.steps)])
    if status:
        return status
    with open(folder / "metrics.csv", encoding="utf-8") as file:
        metrics = list(csv.DictReader(file))
    first, last = metrics[0], metrics[-1]
    rates = sorted(float(row["tokens_per_second"]) for row in metrics if row["tokens_per_second"])
    rows.append(("validation loss", f"{float(first['validation_loss']):.2f} to {float(last['validation_loss']):.2f}",
                 "nats per character"))  # fmt: skip
    rows.append(("speed", f"{rates[len(rates) // 2]:,.0f} tokens/s", f"median step, {args.ranks} ranks"))
    return 0


def prove_equality(args: argparse.Namespace, folder: Path, rows: list[tuple[str, str, str]]) -> int:
    """Part 2: several ranks against one process, number by number, in both worlds."""
    from threadpoolctl import threadpool_limits

    from parallel import simulate
    from parallel.studies import equivalence

    headline(f"2. Is that what one process computes? The first five steps on 1 process and on {args.ranks} ranks")
    with threadpool_limits(limits=1):  # BLAS adds in another order on another number of threads
        one = equivalence.program(size=equivalence.DEMO)
        simulated = simulate(equivalence.program, ranks=args.ranks, args=(equivalence.DEMO,)).results[0]
    under_mpirun = equivalence.run_under_mpirun(args.ranks, equivalence.DEMO)
    good = True
    for name, outcome in (("mpirun", under_mpirun), ("simulated", simulated)):
        losses, parameters = outcome.difference(one)
        good = good and max(losses, parameters) <= AGREEMENT
        print(f"  {args.ranks} ranks, {name:<10} largest difference: losses {losses:.1e}, parameters {parameters:.1e}")
        rows.append((f"{name} - 1 process", f"{max(losses, parameters):.1e}",
                     f"largest difference, float64 (allowed: {AGREEMENT:g})"))  # fmt: skip
    same = under_mpirun.difference(simulated) == (0.0, 0.0)
    print(f"  mpirun and simulated world: {'the same bits' if same else 'they differ'}")
    print(
        "\n  The same GPT and batches, in float64 and not in float32: the gradient of attention's key bias is\n"
        "  mathematically zero, what arrives there is rounding noise, and Adam divides noise by noise."
    )
    rows.append(("mpirun - simulated", "0" if same else "not 0", f"one program on {args.ranks} ranks, bit for bit"))
    report = {"one": one.losses.tolist(), "mpirun": under_mpirun.losses.tolist(),
              "simulated": simulated.losses.tolist()}  # fmt: skip
    (folder / "equality.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if not (good and same):
        raise ArithmeticError(f"{args.ranks} ranks do not compute what one process does; see {folder}/equality.json")
    return 0


def draw_staleness(args: argparse.Namespace, folder: Path, rows: list[tuple[str, str, str]]) -> int:
    """Part 3: `minigrad staleness map`."""
    from minigrad.cli import main
    from parallel.studies.staleness import critical_step

    headline("3. How stale may a gradient be?")
    status = main(["staleness", "map", "--out", str(folder)])
    if status:
        return status
    steps = ", ".join(f"{critical_step(tau):.4g}" for tau in (0, 1, 2, 8, 32))
    rows.append(("critical step", steps, "1/curvature, at staleness 0, 1, 2, 8, 32"))
    return 0


def summary(rows: list[tuple[str, str, str]], seconds: float) -> None:
    """A table of what was shown."""
    from rich.console import Console
    from rich.table import Table

    table: Any = Table(title=f"what you saw, in {seconds:.0f} s", title_justify="left")
    for column in ("what", "measured", "of what, in what"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print()
    console.print(table)
