"""`minigrad pipeline`: show, compare, check and search pipeline schedules, a module for each."""

from __future__ import annotations

import argparse

from minigrad.commands.parts import add_parts, run_part

# Name, module, and what `minigrad pipeline --help` says of it.
PARTS = {
    "show": ("minigrad.commands.pipeline_show", "draw one schedule and tell what it costs"),
    "compare": ("minigrad.commands.pipeline_compare", "all schedules side by side: time, bubble, memory"),
    "check": ("minigrad.commands.pipeline_check", "is a schedule in a file right? if not, where not"),
    "search": ("minigrad.commands.pipeline_search", "the fastest schedule of a GPT for a cluster and its memory"),
}
HELP = "Pipeline schedules, drawn, priced, checked and searched.\n\n" + "".join(
    f"  {name:<9} {text}\n" for name, (_, text) in PARTS.items()
)
EXAMPLES = """\
examples:
  minigrad pipeline show 1f1b --stages 4 --micro-batches 8
  minigrad pipeline compare --stages 4 --micro-batches 8 --out pipelines
  minigrad pipeline check mine.txt
  minigrad pipeline search --cluster dgx-v100x1 --ranks 8 --model gpt2-xl --batch 32
  minigrad pipeline show --help
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the name of the part; the rest is its own."""
    add_parts(parser, PARTS, EXAMPLES, "minigrad pipeline {show,compare,check,search} [options]")


def run(args: argparse.Namespace) -> int:
    """Run the part that was named; returns what it returns."""
    return run_part("pipeline", PARTS, args)
