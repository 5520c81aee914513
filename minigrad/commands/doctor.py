"""`minigrad doctor`: what this machine has of what the project needs, and what to do about the rest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any, Literal, NamedTuple

HELP = """\
Check this machine: Python, NumPy and its BLAS, MPI with a two-rank program really run, and the optional
parts (GPU, compilers). Each line says ok, missing (optional: the rest works without it) or problem, with
what to do.

The exit status is 0 when everything required is there, 1 otherwise.
"""
EXAMPLES = """\
examples:
  minigrad doctor               read the lines that say problem, then those that say missing
  minigrad doctor > doctor.txt  plain lines without a table, to send to whoever helps you
"""
Status = Literal["ok", "missing", "problem"]
COLOURS = {"ok": "green", "missing": "yellow", "problem": "bold red"}
OLDEST_PYTHON = (3, 11)
HELLO = "from mpi4py.MPI import COMM_WORLD as world; print('rank', world.Get_rank(), 'of', world.Get_size())"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
HELLO_TIMEOUT = 60.0  # seconds; it takes about half of one


class Finding(NamedTuple):
    """What one check found, and what to do when it is not ok."""

    status: Status
    found: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`minigrad doctor` takes no arguments of its own."""
    parser.epilog = EXAMPLES


def run(args: argparse.Namespace) -> int:
    """Run every check, print what it found, and return 1 if something required is not there."""
    findings = {title: examine(check) for title, check in CHECKS.items()}
    if sys.stdout.isatty():
        print_table(findings)
    else:
        print_plain(findings)
    return 1 if any(finding.status == "problem" for finding in findings.values()) else 0


def examine(check: Callable[[], Finding]) -> Finding:
    """What `check` finds; a check that itself fails is a problem, and the next ones still run."""
    try:
        return check()
    except Exception as error:
        return Finding(
            "problem",
            f"{type(error).__name__}: {' '.join(str(error).split())}",
            "an unexpected failure of this check, shown as it came",
        )


def verdict(findings: dict[str, Finding]) -> str:
    """The last line: how many checks have which result."""
    problems = sum(finding.status == "problem" for finding in findings.values())
    missing = sum(finding.status == "missing" for finding in findings.values())
    first = f"{problems} problem{'s' * (problems != 1)}" if problems else "everything required is here"
    return f"{first}; {missing} optional part{'s' * (missing != 1)} missing" if missing else first


def print_plain(findings: dict[str, Finding]) -> None:
    """One line a check, with its advice below: for files, pipes and bug reports."""
    for title, (status, found, advice) in findings.items():
        print(f"{status:<8} {title:<14} {found}")
        if advice:
            print(f"{'':<23} -> {advice}")
    print(verdict(findings))


def print_table(findings: dict[str, Finding]) -> None:
    """The same as a table, for a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="minigrad doctor", title_justify="left")
    for heading in ("", "what", "found"):
        table.add_column(heading)
    for title, (status, found, advice) in findings.items():
        text = escape(found) + (f"\n[italic]{escape(advice)}[/italic]" if advice else "")
        table.add_row(f"[{COLOURS[status]}]{status}[/]", title, text)
    console = Console()
    console.print(table)
    console.print(verdict(findings))


# The checks, one function a line of the report.


def check_python() -> Finding:
    """Whether this Python is new enough."""
    found = f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("problem", found, "install Python 3.11 or newer")
    return Finding("ok", found)


def check_numpy() -> Finding:
    """NumPy and its version."""
    return _required("numpy")


def check_blas() -> Finding:
    """The BLAS that NumPy multiplies matrices with, for which processor, and with how many threads."""
    import numpy  # noqa: F401  (loads the BLAS)

    threadpoolctl = import_module("threadpoolctl")
    libraries = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    if not libraries:
        return Finding("missing", "a BLAS that does not say what it is", "its threads cannot be pinned")
    core = os.environ.get("OPENBLAS_CORETYPE")
    found = "; ".join(_blas_line(library) for library in libraries)
    if core:
        return Finding(
            "ok",
            f"{found}; OPENBLAS_CORETYPE={core}",
            "it overrides the kernels that fit this processor: unset it for full speed",
        )
    return Finding("ok", f"{found}; OPENBLAS_CORETYPE is not set")


def check_threads() -> Finding:
    """How many cores this process may use, and what limits the threads."""
    machine = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    limits = [f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ]
    return Finding("ok", f"{usable} of {machine} cores; {', '.join(limits) or 'no limit on threads is set'}")


def check_mpi() -> Finding:
    """The MPI that mpi4py loads, and the mpirun that belongs to it."""
    from parallel.comm.mpirun import MpiNotFoundError, find_runtime

    mpi4py = _required("mpi4py")
    if mpi4py.status != "ok":
        return mpi4py
    try:
        runtime = find_runtime()
    except MpiNotFoundError as error:
        return Finding("problem", f"mpi4py {mpi4py.found}", str(error))
    return Finding(
        "ok",
        f"{runtime.vendor} {runtime.version} ({runtime.library}), mpi4py {mpi4py.found}; "
        f"its mpirun is {runtime.mpirun}",
    )


def check_hello() -> Finding:
    """Whether two ranks really start, and see each other."""
    from parallel.comm.launch import launch

    advice = 'run it by hand to see all of it: minigrad launch -n 2 -- -c "from mpi4py import MPI"'
    try:
        job = launch(["-c", HELLO], ranks=2, timeout=HELLO_TIMEOUT, capture=True)
    except OSError as error:
        return Finding("problem", "two ranks could not be started", str(error))
    lines = sorted(job.stdout.split("\n"))
    if job.timed_out:
        return Finding("problem", f"two ranks were not done after {HELLO_TIMEOUT:g} s", advice)
    if job.returncode != 0:
        return Finding("problem", f"status {job.returncode}: {' '.join(job.stderr.split())[:300]}", advice)
    if [line for line in lines if line] != ["rank 0 of 2", "rank 1 of 2"]:
        return Finding("problem", f"two ranks said {job.stdout.split()}", advice)
    return Finding("ok", "two ranks started and see each other")


def check_gpu() -> Finding:
    """CuPy and the GPUs it sees."""
    from minigrad.device import gpu_module, import_cupy

    try:
        version = import_cupy().__version__
    except RuntimeError as error:
        first, _, remedy = str(error).rpartition(": ")
        found = "no CuPy" if "need CuPy" in first else first
        return Finding("missing", found, f"only for an NVIDIA GPU: {remedy}")
    try:
        cupy = gpu_module()
    except RuntimeError as error:
        first, _, remedy = str(error).partition("; ")
        return Finding("missing", f"CuPy {version}: {first}", f"{remedy}; everything but its speed works without one")
    runtime = cupy.cuda.runtime
    names = [runtime.getDeviceProperties(index)["name"].decode() for index in range(runtime.getDeviceCount())]
    free, total = runtime.memGetInfo()
    memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    if free < 0.1 * total:
        return Finding("ok", f"CuPy {version}; {', '.join(names)}; {memory}", "other programs fill it: see nvidia-smi")
    return Finding("ok", f"CuPy {version}; {', '.join(names)}; {memory}")


def check_compiler() -> Finding:
    """The C++ compiler that runs CUDA kernels on the CPU."""
    from minigrad.kernels.emulate import find_compiler, sanitizers_work

    try:
        path, version = find_compiler()
    except RuntimeError as error:
        return Finding("missing", "none: CUDA kernels cannot be emulated", str(error))
    if not sanitizers_work():
        advice = "races and accesses outside arrays are not found: install libasan and libtsan"
        return Finding("missing", f"sanitizers of {version.strip()} at {path}", advice)
    return Finding("ok", f"{version.strip()} at {path}, with its sanitizers")


def check_nvrtc() -> Finding:
    """NVIDIA's compiler library, which needs no GPU."""
    from minigrad.kernels.nvrtc import version

    try:
        major, minor = version()
    except RuntimeError as error:
        return Finding("missing", "none: CUDA kernels cannot be compiled", str(error))
    return Finding("ok", f"NVRTC {major}.{minor}")


def _required(package: str) -> Finding:
    try:
        import_module(package)
        return Finding("ok", metadata.version(package))
    except ImportError as error:
        return Finding("problem", f"cannot be imported: {error}", f"pip install {package}")


def _blas_line(library: dict[str, Any]) -> str:
    kind = f" for {library['architecture']}" if library.get("architecture") else ""
    return f"{library['internal_api']} {library['version']}{kind}, {library['num_threads']} threads"


CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": check_python,
    "NumPy": check_numpy,
    "BLAS": check_blas,
    "cores, threads": check_threads,
    "MPI": check_mpi,
    "two ranks": check_hello,
    "greenlet": lambda: _required("greenlet"),
    "matplotlib": lambda: _required("matplotlib"),
    "rich": lambda: _required("rich"),
    "safetensors": lambda: _required("safetensors"),
    "GPU": check_gpu,
    "C++ compiler": check_compiler,
    "NVRTC": check_nvrtc,
}
