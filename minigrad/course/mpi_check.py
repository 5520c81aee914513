"""The second half of a parallel exercise: the student's program on real processes, under mpirun."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from minigrad.course import wire
from minigrad.course.checking import BLOCKED, FAILED, PASSED, Verdict, load_check
from minigrad.course.compare import difference
from minigrad.course.table import Exercise

LIMIT = 20.0  # s for one job; a healthy one takes two


def check_under_mpirun(exercise: Exercise, root: Path) -> Verdict:
    """Run an exercise that passed in simulation on real processes.

    Returns:
        "passed" also where there is no MPI to run it: that half then reads blocked, which is not the student's
        fault; "failed" with the reason otherwise.
    """
    simulated = ("simulated", f"passed, within {exercise.budget}" if exercise.budget else "passed")
    lines = [simulated]
    for ranks in exercise.mpi_ranks:
        status, text = under_mpirun(exercise, root, ranks)
        lines.append(("mpirun", f"{status} on {ranks} processes{': ' + text if text else ''}"))
        if status == FAILED:
            return Verdict(exercise, FAILED, lines)
    return Verdict(exercise, PASSED, lines)


def under_mpirun(exercise: Exercise, root: Path, ranks: int) -> tuple[str, str]:
    """Status and reason of one job."""
    from parallel.comm.launch import launch
    from parallel.comm.mpirun import MpiNotFoundError

    check = load_check(exercise)
    cases = check.mpi_cases(ranks)
    with tempfile.TemporaryDirectory(prefix="minigrad-mpi-") as name:
        folder = Path(name)
        (folder / "cases").write_bytes(wire.to_line(cases))
        script = [str(Path(__file__).with_name("mpi_worker.py")), str(root.resolve()), str(check.__file__), name]
        try:
            job = launch(script, ranks, timeout=LIMIT, capture=True)
        except (MpiNotFoundError, ImportError) as error:
            return BLOCKED, f"{error}; `minigrad doctor` tells more"
        answers = [results_of(folder / f"rank-{rank}") for rank in range(ranks)]
    for index, case in enumerate(cases):
        expected = check.mpi_expected(case)
        for rank, results in enumerate(answers):
            if len(results) > index and "raised" in results[index]:
                raised = results[index]["raised"]
                where = (raised["where"] or ["?"])[-1]
                said = f"{raised['type']}: {raised['message']} ({where})"
                return FAILED, f"{check.call(case)}: rank {rank} raised {said}"
        for rank, results in enumerate(answers):
            if job.timed_out and len(results) <= index:
                return FAILED, f"the job was not done after {LIMIT:g} s: the ranks wait for one another"
            if len(results) <= index:
                return FAILED, f"rank {rank} ended early, with status {job.returncode}"
            if wrong := difference(results[index].get("returned"), expected[rank], f"rank {rank}"):
                return FAILED, f"{check.call(case)}: {wrong.place} = {wrong.got}, expected {wrong.expected}"
    return PASSED, ""


def results_of(file: Path) -> list[Any]:
    """What a rank wrote, as far as it can be read."""
    try:
        results = wire.from_line(file.read_bytes())
    except (OSError, ValueError):
        return []
    return results if isinstance(results, list) and all(isinstance(one, dict) for one in results) else []
