"""`minigrad pipeline search`: the fastest way to train a GPT on a cluster."""

from __future__ import annotations

import argparse
from itertools import pairwise

from minigrad.commands.pipeline_costs import checked_cluster, checked_model

HELP = """\
Find the fastest schedule, number of micro-batches and partition of a GPT for a cluster.

All synchronous schedules are tried, with every number of micro-batches that divides the batch, with as many layers in
each stage and with stages equal in time. What does not fit into a rank's memory is left out. Times are FLOPs over a
part of the device's peak; the layers are the embedding, the blocks and the head. The optimizer's step is not counted,
nor, for dualpipe, the sum of the gradients of its two copies of each stage.
"""
EXAMPLES = """\
examples:
  minigrad pipeline search --cluster dgx-v100x1 --ranks 8 --model gpt2-xl --batch 32
  minigrad pipeline search --cluster 10gbe --ranks 4 --model gpt2-medium --batch 16 --memory 12
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad pipeline search` takes."""
    parser.add_argument(
        "--cluster", metavar="NAME", default="dgx-a100x1", help="as dgx-v100x4, or a JSON file (dgx-a100x1)"
    )
    parser.add_argument("--ranks", "-n", type=int, default=4, metavar="N", help="pipeline ranks (4)")
    parser.add_argument(
        "--model", default="gpt2-xl", metavar="NAME", help="gpt2, gpt2-medium, gpt2-large or gpt2-xl (gpt2-xl)"
    )
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="sequences of 1,024 tokens in a batch (32)")
    parser.add_argument("--memory", type=float, metavar="GB", help="on each rank (the device's)")
    parser.add_argument(
        "--efficiency", type=float, default=0.4, metavar="X", help="part of the device's peak reached (0.4)"
    )
    parser.add_argument(
        "--overhead", type=float, default=50.0, metavar="US", help="microseconds besides, an action (50)"
    )
    parser.add_argument("--slow", metavar="R=X,...", help="ranks and their speeds, as 2=0.5 for half as fast")
    parser.add_argument("--best", type=int, default=5, metavar="N", help="how many to show (5)")


def run(args: argparse.Namespace) -> int:
    """Search, and print the best.

    Returns:
        0.

    Raises:
        ValueError: a number is out of range, or nothing fits into memory.
    """
    from parallel.pipeline import gpt_layers, search

    if not 1 <= args.ranks <= 64:
        raise ValueError(f"--ranks {args.ranks} must be from 1 to 64")
    if not 1 <= args.batch <= 512:
        raise ValueError(f"--batch {args.batch} must be from 1 to 512")
    if not 0 <= args.overhead < float("inf"):
        raise ValueError(f"--overhead {args.overhead} must be at least 0 microseconds")
    if args.memory is not None and not args.memory > 0:
        raise ValueError(f"--memory {args.memory} must be above 0 GB")
    cluster = checked_cluster(args, args.ranks)
    layers = gpt_layers(checked_model(args.model), cluster.device(0), args.efficiency)
    memory = None if args.memory is None else args.memory * 1e9
    found = search(layers, cluster, args.ranks, args.batch, memory, overhead=args.overhead * 1e-6, best=args.best)
    print(f"{args.model} with a batch of {args.batch} on {args.ranks} ranks of {args.cluster}")
    print(
        f"{'schedule':<17} {'micro-batches':>13} {'partition':>10} {'step':>10} {'bubble':>7} {'memory':>9}"
        "  layers a stage"
    )
    for choice, priced in found:
        sizes = [end - first for first, end in pairwise(choice.bounds)]
        print(
            f"{choice.name:<17} {choice.schedule.micro_batches:>13} {choice.cut:>10} {priced.makespan * 1e3:>7.1f} ms "
            f"{priced.bubble_of_total:>7.1%} {choice.peak_memory / 1e9:>6.2f} GB  {' '.join(map(str, sizes))}"
        )
    return 0
