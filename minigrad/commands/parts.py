"""Commands of several parts, `minigrad pipeline show` and `minigrad bench links`: each part is a module of its own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module


def add_parts(parser: argparse.ArgumentParser, parts: Mapping[str, tuple[str, str]], examples: str, usage: str) -> None:
    """Declare the name of the part; the rest is its own."""
    parser.usage = usage
    parser.epilog = examples
    parser.add_argument("name", nargs="?", metavar="NAME", choices=parts, help="one of the above")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run_part(command: str, parts: Mapping[str, tuple[str, str]], args: argparse.Namespace, what: str = "do") -> int:
    """Run the part that was named, with its own arguments.

    Args:
        command: what stands before the part's name, such as "bench".
        parts: name of a part -> (its module, what it does).
        args: `name`, and `rest`, what follows it.
        what: completes the request for a name: "measure".

    Returns:
        What the part returns.

    Raises:
        ValueError: none was named.
    """
    if args.name is None:
        raise ValueError(f"name what to {what}: {', '.join(parts)}")
    from minigrad.cli import Parser

    part = import_module(parts[args.name][0])
    parser = Parser(f"minigrad {command} {args.name}", part.HELP, part.EXAMPLES)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    part.add_arguments(parser)
    own = parser.parse_args(args.rest)
    args.debug = getattr(args, "debug", False) or own.debug  # the front door looks there
    return int(part.run(own))
