"""A worker killed by SIGKILL under mpirun: with ULFM the server goes on, without it the job ends; never a hang."""

from pathlib import Path

import pytest
from programs.plain_mpirun import plain_mpirun

PROGRAM = """
import os, signal, time
import numpy as np
from mpi4py import MPI
from parallel.server import Asynchronous, rule_update, serve, work
world = MPI.COMM_WORLD
rank = world.Get_rank()
w = np.ones(3)
world.Barrier()  # nobody is done before another has begun
if rank == 0:
    service = serve(world, w, rule_update("sgd", 0.01), Asynchronous(), 150)
    print("updates", service.updates, "lost", sorted(service.lost), flush=True)
else:
    made = 0
    def gradient(w):
        global made
        made += 1
        time.sleep(0.005)
        if rank == 2 and made == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return w
    work(world, w, gradient)
"""


@pytest.mark.parametrize("ulfm", [True, False])
def test_the_server_outlives_a_worker_or_the_job_ends(tmp_path: Path, ulfm: bool) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    options = ("--with-ft", "ulfm") if ulfm else ()
    result = plain_mpirun([path], ranks=4, options=options)
    if ulfm:
        assert result.returncode == 0, result.stderr
        assert "updates 150 lost [2]" in result.stdout, result.stderr
        assert "worker 2 died after 3 gradients; going on without it" in result.stderr
    else:
        assert result.returncode != 0
        assert "updates" not in result.stdout
