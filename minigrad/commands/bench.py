"""`minigrad bench`: measurements of this machine, one module each.

A new one needs its module, with `HELP`, `EXAMPLES`, `add_arguments(parser)` and `run(args) -> int` as every command
has, and one row in BENCHES.
"""

from __future__ import annotations

import argparse

from minigrad.commands.parts import add_parts, run_part

# Name, module, and what `minigrad bench --help` says of it.
BENCHES = {
    "links": ("minigrad.commands.bench_links", "latency and bandwidth between two ranks, by ping-pong"),
    "collectives": ("minigrad.commands.bench_collectives", "our all-reduces beside the MPI library's own"),
}
HELP = "Measure this machine.\n\n" + "\n".join(f"  {name:<12} {text}" for name, (_, text) in BENCHES.items()) + "\n"
EXAMPLES = """\
examples:
  minigrad bench links                  writes links/, and what `--cluster laptop` stands for from then on
  minigrad bench collectives            writes collectives/
  minigrad bench links --help
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the name of the part; the rest is its own."""
    add_parts(parser, BENCHES, EXAMPLES, "minigrad bench NAME [options]")


def run(args: argparse.Namespace) -> int:
    """Run the part that was named; returns what it returns."""
    return run_part("bench", BENCHES, args, "measure")
