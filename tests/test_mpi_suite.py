"""tests/mpi, run by mpirun on 2, 3 and 4 ranks: one test here for each number of ranks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from parallel.comm.launch import FinishedJob, launch

SUITE = Path(__file__).parent / "mpi"
LIMIT = 300.0  # seconds for the whole suite on one number of ranks
TEST_LIMIT = 60  # seconds for each of its tests


def run_suite(folder: Path, ranks: int, counts: Path, limit: float = LIMIT) -> FinishedJob:
    """Run the tests of `folder` on `ranks` ranks; their counts go to the file `counts`."""
    # A rank that hangs inside MPI does not return to Python, so only a thread can end it.
    options = ["-o", f"timeout={TEST_LIMIT}", "-o", "timeout_method=thread", "-p", "no:cacheprovider", "--color=no"]
    variables = {"MINIGRAD_MPI_COUNTS": str(counts)}
    return launch(["-m", "pytest", str(folder), *options], ranks, timeout=limit, env=variables, capture=True)


@pytest.mark.timeout(LIMIT + 60)
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_suite_passes_under_mpirun(ranks: int, mpi_runs: dict[int, int], tally: Any, tmp_path: Path) -> None:
    job = run_suite(SUITE, ranks, tmp_path / "counts.json")
    if job.returncode != 0:
        reason = f"not done after {LIMIT:g} s" if job.timed_out else f"status {job.returncode}"
        pytest.fail(f"tests/mpi on {ranks} ranks: {reason}\n{job.stdout}\n{job.stderr}", pytrace=False)
    counts = json.loads((tmp_path / "counts.json").read_text())
    mpi_runs[ranks] = counts["ran"]
    tally.mpi_skipped |= {f"{reason} (under mpirun)": count for reason, count in counts["skipped"].items()}
    assert counts["ran"] > 0


@pytest.mark.timeout(LIMIT)
def test_the_matrix_of_bits_on_one_rank(tmp_path: Path) -> None:
    job = run_suite(SUITE / "test_bit_matrix_mpi.py", 1, tmp_path / "counts.json")
    assert job.returncode == 0, job.stdout
    assert json.loads((tmp_path / "counts.json").read_text())["ran"] > 0


FAULTY_TESTS = """
import numpy as np

def test_fails_on_rank_one(comm):
    comm.Barrier()
    assert comm.Get_rank() != 1, "told by rank one"

def test_passes(comm):
    comm.Barrier()

def test_rank_one_fails_while_rank_zero_waits_for_it(comm):
    assert comm.Get_rank() != 1, "rank one never sent"
    comm.Recv(np.empty(1), source=1)
"""


@pytest.mark.timeout(60)
def test_a_failure_on_one_rank_is_told_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "mpi"
    folder.mkdir(parents=True)
    root = SUITE.parent.parent
    (tmp_path / "setup.cfg").write_text(
        (root / "setup.cfg").read_text().replace("pythonpath = .", f"pythonpath = {root}")
    )
    shutil.copy(SUITE.parent / "conftest.py", folder.parent)
    shutil.copy(SUITE / "conftest.py", folder)
    (folder / "test_faulty.py").write_text(FAULTY_TESTS)
    job = run_suite(folder, 2, tmp_path / "counts.json", limit=40)
    assert job.returncode == 1
    assert not job.timed_out
    assert "F." in job.stdout  # the next test still runs, and in step
    assert "rank 1 failed in" in job.stderr
    assert "rank one never sent" in job.stderr
