"""`minigrad pipeline show --real`: the schedule on real processes whose stages sleep, beside its price."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from minigrad.commands.pipeline_costs import checked_cluster, stage_costs

if TYPE_CHECKING:
    from minigrad.trace import Span
    from parallel.pipeline import Priced, Schedule

SECOND = 0.05  # real seconds of a second of the price: long against what else happens
MOST_RANKS = 16
LONGEST = 120.0  # real seconds


def add_real(parser: argparse.ArgumentParser) -> None:
    """Declare --real."""
    parser.add_argument(
        "--real", type=float, nargs="?", const=SECOND, metavar="X",
        help=f"run it under mpirun as well, with stages that sleep X s for each second of their costs ({SECOND:g})",
    )  # fmt: skip


def check_real(args: argparse.Namespace, schedule: Schedule, price: Priced) -> None:
    """Refuse what cannot be run here, or not in a reasonable time."""
    if not 0 < args.real < float("inf"):
        raise ValueError(f"--real {args.real} must be above 0")
    for option, default in (("cluster", None), ("message_bytes", 0)):
        if getattr(args, option) != default:
            flag = f"--{option.replace('_', '-')}"
            raise ValueError(f"--real runs on this machine, whose links are not those of the price: leave out {flag}")
    if schedule.ranks > MOST_RANKS:
        raise ValueError(f"--real starts a process for each of {schedule.ranks} ranks, must be at most {MOST_RANKS}")
    if price.makespan == 0:
        raise ValueError("--real needs actions that take time")
    if price.makespan * args.real > LONGEST:
        raise ValueError(
            f"--real {args.real:g} would take {price.makespan * args.real:.0f} s, must be at most {LONGEST:.0f} s"
        )


def real_run(args: argparse.Namespace, schedule: Schedule) -> list[Span]:
    """Run the schedule, and return its spans in the seconds of the price."""
    from parallel.pipeline.sleeping import sleeping_run

    cluster = checked_cluster(args, schedule.ranks)
    costs: dict[str, Any] = {
        name: [args.real * cost for cost in stage_costs(f"--{name.replace('_', '-')}", getattr(args, name), schedule)]
        for name in ("forward", "backward_input", "backward_weight")
    }
    speeds = [cluster.speed(rank) for rank in range(schedule.ranks)]
    spans = sleeping_run(schedule, **costs, speeds=speeds, overlap_is_free=args.overlap_is_free)
    return [span._replace(start=span.start / args.real, end=span.end / args.real) for span in spans]


def compared(price: Priced, spans: list[Span], ranks: int, second: float) -> str:
    """How the real run went, in one line."""
    from parallel.pipeline.sleeping import order_of_actions

    makespan = max(span.end for span in spans if span.kind == "compute")
    same = all(order_of_actions(spans, rank) == order_of_actions(price.spans, rank) for rank in range(ranks))
    return (
        f"real      {makespan * second:.3g} s on {ranks} processes with {second:g} s for a second of the price: "
        f"{makespan / price.makespan - 1:+.1%}, {'the same order' if same else 'ANOTHER ORDER'} of actions"
    )
