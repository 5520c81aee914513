"""`minigrad launch`: run a program on n processes under the mpirun that fits."""

from __future__ import annotations

import argparse
import sys

HELP = """\
Run a program on n MPI processes of this machine, or of several.

It finds the mpirun that belongs to the MPI that mpi4py loads, gives each rank its share of threads, and
allows more ranks than cores. A rank that raises ends the whole job with its traceback; Ctrl-C leaves nothing
behind.
"""
EXAMPLES = """\
examples:
  minigrad launch -n 4 -- program.py --steps 10     a Python file, with its arguments
  minigrad launch -n 2 -- -m package.module         a module
  minigrad launch -n 2 --timeout 60 -- program.py   ended after a minute, with status 124
  minigrad launch -n 8 --hostfile hosts -- program.py
      where each line of hosts reads `machine slots=4`, the machines reach each other by ssh without a
      password, and Python and the program are at the same path on all of them

The same by hand: mpirun -n 4 python -m mpi4py program.py, with the mpirun that `minigrad doctor` names. Without
`-m mpi4py` a rank that fails may leave the others waiting for ever.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad launch` takes."""
    parser.usage = "minigrad launch -n N [options] -- program.py [arguments]"
    parser.epilog = EXAMPLES
    parser.add_argument("-n", "--ranks", type=int, required=True, metavar="N", help="number of processes")
    parser.add_argument("--hostfile", metavar="FILE", help="the machines to use (this one if not given)")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="T", help="BLAS and OpenMP threads of each rank (1)"
    )
    parser.add_argument("--timeout", type=float, metavar="S", help="kill the job after S seconds")
    parser.add_argument(
        "program", nargs=argparse.REMAINDER, help="a .py file, -m module, -c code or a command"
    )


def run(args: argparse.Namespace) -> int:
    """Run the program and return the status with which its job ended."""
    from parallel.comm.launch import launch

    program = args.program[1:] if args.program[:1] == ["--"] else args.program
    job = launch(program, args.ranks, threads=args.threads, timeout=args.timeout, hostfile=args.hostfile)
    if job.timed_out:
        print(
            f"minigrad launch: the job was not done after {args.timeout:g} s and has been killed; if its ranks wait "
            "for one another, parallel.simulate(program, ranks) says who waits for whom, and where",
            file=sys.stderr,
        )
    elif job.returncode and job.silent:
        print(
            f"minigrad launch: the job ended with status {job.returncode} and no rank said why: one may have left "
            "without finalizing MPI, as os._exit does",
            file=sys.stderr,
        )
    return job.returncode
