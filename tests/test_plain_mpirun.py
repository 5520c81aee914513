"""A rank that fails ends the job under a plain mpirun too, where no runner of ours stands around the program."""

import pytest
from programs.plain_mpirun import plain_mpirun

WORLD = """
import numpy as np
from mpi4py import MPI
from minigrad import nn
from parallel import DataParallel, observe, spawn
from parallel.server import server, worker
world = MPI.COMM_WORLD
rank = world.Get_rank()
"""
FAIL = """
if rank == 1:
    raise RuntimeError("boom")
world.Recv(np.empty(1), 1)
"""
TRAIN = """
import sys
from minigrad.cli import main
from parallel.data_parallel import DataParallel

average, calls = DataParallel.average_gradients, 0

def fail_in_the_third_step(self, share=None):
    global calls
    calls += 1
    if self.rank == 1 and calls == 3:
        raise ERROR
    average(self, share)

DataParallel.average_gradients = fail_in_the_third_step
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def program(tmp_path):
    """Writes a program and returns its path."""

    def write(code):
        path = tmp_path / "program.py"
        path.write_text(code)
        return path

    return write


@pytest.mark.parametrize(
    "use",
    [
        "DataParallel(nn.Linear(2, 2), world)",
        "observe(world)",
        "spawn(world, lambda duplicate: None).join()",
        "worker(world, np.zeros(2), lambda parameters: parameters) if rank else server(world, np.zeros(2), print, 0)",
    ],
)
def test_an_exception_on_one_rank_ends_the_job_with_its_traceback(program, use):
    job = plain_mpirun([program(WORLD + use + FAIL)], 2)
    assert job.returncode == 1
    assert job.stderr.count("Rank 1 of 2 failed:\nTraceback") == 1
    assert 'raise RuntimeError("boom")\nRuntimeError: boom\nRank 1 ended the job.\n' in job.stderr


def test_a_program_that_uses_nothing_of_ours_is_started_with_mpi4py(program):
    """What docs/install.md says."""
    job = plain_mpirun(["-m", "mpi4py", program(WORLD + FAIL)], 2)
    assert job.returncode == 1
    assert "RuntimeError: boom" in job.stderr


def test_a_failure_while_another_thread_waits_ends_the_job(program):
    """The thread keeps its process alive, so nothing that runs at exit could end the job."""
    waiting = "spawn(world, lambda duplicate: duplicate.Recv(np.empty(1), 1 - rank))"
    job = plain_mpirun([program(WORLD + waiting + FAIL)], 2)
    assert job.returncode == 1
    assert "RuntimeError: boom" in job.stderr


def test_a_spawned_thread_that_fails_ends_the_job(program):
    code = "spawn(world, lambda duplicate: 1 / rank)\nworld.Recv(np.empty(1), 1 - rank)"
    job = plain_mpirun([program(WORLD + code)], 2)
    assert job.returncode == 1
    assert "Rank 0 of 2 failed:" in job.stderr
    assert "ZeroDivisionError" in job.stderr


def test_the_hook_of_the_program_itself_is_called_where_there_is_one_rank(program):
    code = "import sys\nsys.excepthook = lambda *error: print('own hook')\nobserve(world)\nraise RuntimeError"
    assert plain_mpirun([program(WORLD + code)], 1).stdout == "own hook\n"


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        ("OSError(28, 'No space left', 'disk')", 2, "minigrad train: error: rank 1: disk: No space left\n"),
        ("KeyError('missing')", 1, "KeyError: 'missing'\nRank 1 ended the job.\n"),
    ],
)
def test_a_failure_of_train_on_one_rank_ends_the_job(program, tmp_path, error, status, sentence):
    path = program(TRAIN.replace("ERROR", error))
    job = plain_mpirun([path, "train", "--model=mlp", "--steps=5", "--batch-size=4", "--out", tmp_path / "run"], 2)
    assert job.returncode == status
    assert sentence in job.stderr
