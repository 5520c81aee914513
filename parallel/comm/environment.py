"""What the environment tells a process about the MPI job it belongs to, before MPI is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping

SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")  # Open MPI, MPICH and Intel MPI


def job_size(environ: Mapping[str, str] | None = None) -> int | None:
    """Number of processes in the mpirun job that started this process; None outside of one.

    Args:
        environ: variables to read; this process's own by default.

    >>> job_size({"OMPI_COMM_WORLD_SIZE": "4"})
    4
    >>> job_size({}) is None
    True
    """
    for name in SIZE_VARIABLES:
        value = (os.environ if environ is None else environ).get(name, "")
        if value.isdigit():
            return int(value)
    return None
