"""`minigrad pipeline show`: one schedule, drawn in the terminal and in files, with its price."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING

from minigrad.commands.pipeline_costs import add_costs, add_shape, checked_schedule, priced
from minigrad.commands.pipeline_files import REAL, write
from minigrad.commands.pipeline_real import add_real, check_real, compared, real_run

if TYPE_CHECKING:
    from parallel.pipeline import Priced

HELP = """\
Draw a pipeline schedule over time, and tell what it costs.

F is a forward, B a backward to the input, W to the weights, BW both in one; the number is the micro-batch's, and
what follows a point the chunk's. A dash continues an action, a dot is idle time. Costs are those of a rank's whole
share of the model; where it has v chunks, each takes a v-th of them.
"""
EXAMPLES = """\
examples:
  minigrad pipeline show 1f1b --stages 4 --micro-batches 8
  minigrad pipeline show interleaved-1f1b --chunks 3 --out pictures      PNG, SVG, film, HTML timeline, Perfetto, text
  minigrad pipeline show zb-h1 --stages 2 --real --out pictures          under mpirun too, drawn below the price
  minigrad pipeline show zb-h1 --forward 1,1,1,2 --slow 2=0.5            uneven stages, and a slow rank
  minigrad pipeline show 1f1b --cluster 10gbe --message-bytes 500000000  messages that take time
"""
MOST_COLUMNS = 160  # of the grid in the terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad pipeline show` takes."""
    parser.add_argument("schedule", metavar="SCHEDULE", help="as gpipe, 1f1b, zb-h1; `compare` lists them all")
    add_shape(parser)
    add_costs(parser)
    add_real(parser)
    parser.add_argument("--out", metavar="DIR", help="write pictures, film, timeline, trace and text to this folder")


def run(args: argparse.Namespace) -> int:
    """Price and draw.

    Returns:
        0.

    Raises:
        ValueError: there is no such schedule, or the numbers do not fit it.
        OSError: `out` cannot be written to, or the run on real processes fails.
    """
    from minigrad.commands.staleness import writable_folder

    schedule = checked_schedule(args, args.schedule)
    folder = writable_folder(args.out) if args.out is not None else None
    price = priced(args, schedule)
    title = f"{args.schedule}, {args.stages} stages, {args.micro_batches} micro-batches"
    runs = {"priced": price.spans}
    if args.real is not None:
        check_real(args, schedule, price)
    print(f"{title}\n{grid(price)}\n{figures(price)}", flush=True)
    if args.real is not None:
        runs[REAL] = real_run(args, schedule)
        print(compared(price, runs[REAL], schedule.ranks, args.real))
    if folder is not None:
        for path in write(schedule, runs, folder, title):
            print(f"wrote {path}")
    return 0


def grid(price: Priced) -> str:
    """The actions over time, a column for each shortest action; in a narrow terminal only their beginning."""
    from parallel.pipeline import draw_spans

    durations = [span.duration for span in price.spans if span.kind == "compute" and span.duration > 0]
    if not durations:
        return "(every action takes no time: nothing to draw)"
    lines = draw_spans(price.spans, tick=max(min(durations), price.makespan / MOST_COLUMNS)).splitlines()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else max(map(len, lines))
    if max(map(len, lines)) <= width:
        return "\n".join(lines)
    return "\n".join(
        [*(line[: width - 4] + " ..." for line in lines), "(wider than the terminal: --out DIR draws all)"]
    )


def figures(price: Priced) -> str:
    """Makespan and bubble, and a table of the ranks."""
    from parallel.plots.look import time_text

    lines = [
        f"makespan  {time_text(price.makespan)}",
        f"bubble    {price.bubble_of_total:.1%} of the total time, {price.bubble_of_ideal:.1%} of the ideal time",
        f"{'rank':<8} {'busy':>9} {'idle':>9} {'kept at most':>14}",
    ]
    for rank, (busy, idle, kept) in enumerate(zip(price.busy, price.idle, price.peak_in_flight, strict=True)):
        lines.append(f"{rank:<8} {time_text(busy):>9} {time_text(idle):>9} {kept:>14}")
    return "\n".join(lines)
