"""`minigrad simulate`: run a program on many simulated ranks, in one process, and look at what they did."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallel.cluster import Cluster
    from parallel.comm import DeadlockError, Simulation

HELP = """\
Run a program on many simulated ranks, in one process and in virtual time.

PROGRAM.py is either a file with a function `program(comm, ...)`, or any script that uses mpi4py, as it is: it is
executed once for every rank, and MPI.COMM_WORLD is the simulated world. Time passes by messages, by
parallel.elapse and parallel.charge, and not by what Python takes.
"""
EXAMPLES = """\
examples:
  minigrad simulate docs/examples/ring.py                        a function, on 4 ranks
  minigrad simulate docs/examples/ring.py --ranks 64 --cluster dgx-v100x8 -- 1000000
  minigrad simulate docs/examples/pi.py --ranks 8 -- 100000      an mpi4py script with its argument
  minigrad simulate docs/examples/ring.py --trace out            with pictures: out/timeline.html and others
  minigrad simulate docs/examples/deadlock.py --trace out        who waits for whom, drawn in out/waiting.png
  minigrad simulate FILE.py --function train                     another function than `program`

The same under MPI: minigrad launch -n 4 -- PROGRAM.py
"""
PASSES_ON = True
FAILED = 1
TABLED = 256  # ranks; of more, spans are kept only for --trace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad simulate` takes."""
    parser.usage = "minigrad simulate PROGRAM.py [options] [-- arguments of the program]"
    parser.epilog = EXAMPLES
    parser.add_argument("program", metavar="PROGRAM.py", help="the file")
    parser.add_argument("--ranks", "-n", type=int, default=4, metavar="N", help="simulated ranks (4)")
    parser.add_argument(
        "--cluster", metavar="NAME", help="a cluster of the catalogue, as dgx-v100x4, or a JSON file (uniform links)"
    )
    parser.add_argument(
        "--fidelity", choices=("message", "collective"), default="message",
        help="whether our collectives are messages, or one priced event each (message)",
    )  # fmt: skip
    parser.add_argument("--function", metavar="NAME", help="the function to run (program)")
    parser.add_argument("--trace", metavar="DIR", help="write timeline, matrix, trace and spans to this folder")
    parser.add_argument("--no-prefix", action="store_true", help="print the ranks' lines without their numbers")


def run(args: argparse.Namespace) -> int:
    """Simulate, print the summary, and write the pictures.

    Returns:
        0; 1 when a rank failed or the program got stuck; the status of a rank that ended itself with another.

    Raises:
        ValueError: the file holds no program, there is no such cluster, or `ranks` is below 1.
        OSError: the file cannot be read, or the folder cannot be written to.
    """
    from minigrad.commands.simulate_report import summary, write_trace
    from minigrad.commands.staleness import writable_folder
    from parallel.comm.errors import DeadlockError, MismatchError, RankExit, UnfinishedError
    from parallel.comm.script import program_traceback

    path = checked_program(args.program)
    if args.ranks < 1:
        raise ValueError(f"--ranks {args.ranks} must be 1 or more")
    cluster = load(args.cluster, args.ranks)
    folder = writable_folder(args.trace, "--trace") if args.trace is not None else None
    try:
        simulation = simulated(args, path, cluster, folder is not None or args.ranks <= TABLED)
    except DeadlockError as error:
        print(f"minigrad simulate: {error}", file=sys.stderr)
        draw_waiting(error, folder, args.ranks)
        return FAILED
    except (MismatchError, UnfinishedError) as error:
        print(f"minigrad simulate: {error}", file=sys.stderr)
        return FAILED
    except RankExit as stop:
        print(f"minigrad simulate: {stop}", file=sys.stderr)
        return stop.status
    except BadInputError as error:
        raise error.cause from None
    except Exception as error:
        print(program_traceback(error), end="", file=sys.stderr)
        return FAILED
    title = f"{path.name} on {args.ranks} rank{'s' if args.ranks > 1 else ''}"
    where = f" of {args.cluster}" if args.cluster else ""
    print(summary(simulation, f"{title}{where}, {args.fidelity} fidelity"))
    if folder is not None:
        for written in write_trace(simulation.spans, folder, title + where, args.ranks):
            print(f"wrote {written}")
    return 0


class BadInputError(Exception):
    """The file holds no program: an error of whoever typed the command, and not of a rank.

    Args:
        cause: What was raised.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def checked_program(name: str) -> Path:
    """The program's file, if it is one."""
    path = Path(name)
    if path.is_dir() or not path.exists():
        raise FileNotFoundError(f"PROGRAM {name} is {'a folder' if path.is_dir() else 'not there'}; name a Python file")
    return path


def load(name: str | None, ranks: int) -> Cluster | None:
    """The cluster called so, or None for uniform links."""
    from parallel.cluster import load_cluster

    return None if name is None else load_cluster(name, ranks)


def simulated(args: argparse.Namespace, path: Path, cluster: Cluster | None, trace: bool) -> Simulation:
    """Run the program, its prints line by line behind their ranks' numbers."""
    from parallel import simulate
    from parallel.comm.script import RankOutput, program_in, telling_rank

    output = RankOutput(sys.stdout, args.ranks, not args.no_prefix)
    with contextlib.ExitStack() as stack:
        stack.callback(output.finish)
        try:
            program, arguments = stack.enter_context(program_in(path, args.after_dashes, args.function))
        except ValueError as error:
            raise BadInputError(error) from error
        stack.enter_context(contextlib.redirect_stdout(output))
        return simulate(telling_rank(program), args.ranks, cluster, arguments, trace, fidelity=args.fidelity)


def draw_waiting(error: DeadlockError, folder: Path | None, ranks: int) -> None:
    """Save the wait-for graph, or say how to get it."""
    from parallel.plots import wait_for_graph

    waiting: Any = error.waiting
    if folder is None:
        print("minigrad simulate: --trace DIR draws who waits for whom", file=sys.stderr)
    elif waiting:
        wait_for_graph(error, folder / "waiting.png", ranks=ranks)
        print(f"wrote {folder / 'waiting.png'}")
