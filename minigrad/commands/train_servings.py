"""The parameter-server strategies of `minigrad train`: which policies there are, what they need and what is refused."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from parallel.server import Policy


class Serving(NamedTuple):
    """A way to serve: the name of a policy in parallel.server, its settings by argument, and what the help says."""

    policy: str
    settings: dict[str, str]
    summary: str


# One row puts a policy into the command, its help and its checks.
SERVINGS: dict[str, Serving] = {
    "ps-sync": Serving("Synchronous", {"backup": "backup"}, "a server applies the mean of all workers' gradients"),
    "ps-async": Serving("Asynchronous", {}, "it applies each as it comes, and nobody waits"),
    "ps-ssp": Serving(
        "StaleSynchronous", {"staleness_bound": "bound"}, "no worker is more than --staleness-bound steps ahead"
    ),
    "ps-window": Serving("Window", {"window": "seconds"}, "it applies the mean of what comes within --window"),
}
DEFAULTS = {"staleness_bound": 2, "window": 0.01}  # of what a policy needs; a window in s
OPTIONS = ("servers", "backup", "staleness_bound", "window")  # of the command, for these strategies alone


def check_serving(args: argparse.Namespace, ranks: int) -> None:
    """Refuse what a parameter server cannot do, before any process is started.

    Raises:
        ValueError: an option of another strategy, too few ranks, or what only a run without server can do.
    """
    serving = SERVINGS.get(args.strategy)
    for name in OPTIONS:
        given, option = getattr(args, name) is not None, f"--{name.replace('_', '-')}"
        owners = [key for key, row in SERVINGS.items() if name == "servers" or name in row.settings]
        if given and args.strategy not in owners:
            raise ValueError(f"{option} {getattr(args, name)} is for --strategy {', '.join(owners)}")
    if serving is None:
        return
    servers = servers_of(args)
    if servers < 1:
        raise ValueError(f"--servers {servers} must be at least 1")
    if ranks <= servers:
        raise ValueError(f"--strategy {args.strategy} needs --ranks of at least {servers + 1}: servers and a worker")
    if (args.backup or 0) >= ranks - servers:
        raise ValueError(f"--backup {args.backup} must be below the number of workers, which is {ranks - servers}")
    policy(args)
    if args.resume is not None:
        raise ValueError(
            f"--resume cannot go on with --strategy {args.strategy}: gradients on their way are not in a checkpoint; "
            "another strategy can, as --strategy ddp"
        )
    if args.checkpoint_every and servers > 1:
        raise ValueError(f"--checkpoint-every {args.checkpoint_every} needs --servers 1, which then has it all")
    if args.precision == "float16":
        raise ValueError("--precision float16 needs loss scaling, which a parameter server has not; take bfloat16")


def servers_of(args: argparse.Namespace) -> int:
    """How many ranks serve."""
    return 1 if args.servers is None else int(args.servers)


def policy(args: argparse.Namespace) -> Policy:
    """A fresh policy.

    Raises:
        ValueError: a setting out of range.
    """
    from parallel import server

    serving = SERVINGS[args.strategy]
    settings = {}
    for ours, theirs in serving.settings.items():
        value = getattr(args, ours)
        value = DEFAULTS.get(ours) if value is None else value
        if value is not None:
            settings[theirs] = value
    made: Policy = getattr(server, serving.policy)(**settings)
    return made
