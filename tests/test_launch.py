"""minigrad launch: jobs really started, failed, timed out and interrupted; nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.cli import main
from parallel.comm import mpirun
from parallel.comm.job_errors import RULE, JobErrors
from parallel.comm.launch import FinishedJob, launch
from parallel.comm.mpirun import MpiNotFoundError, find_runtime, parse_version, world_mismatch

LIMIT = 40.0  # seconds; a job that hangs fails its test
WORLD = "from mpi4py.MPI import COMM_WORLD as world; rank, size = world.Get_rank(), world.Get_size()\n"
BOILERPLATE = re.compile(r"prterun|MPI_ABORT|PRRTE|-----")


def run(tmp_path: Path, code: str, ranks: int = 2, **options: object) -> FinishedJob:
    """Run `code` as a program on some ranks."""
    program = tmp_path / "program.py"
    program.write_text(code)
    return launch([program, "--size", "3"], ranks, **{"timeout": LIMIT, "capture": True} | options)


def alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting for its parent to notice its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# A job that ends well


@pytest.mark.parametrize("ranks", [1, 2, 5])  # 5: more than there are cores on a small machine
def test_every_rank_runs_with_its_arguments_and_threads(tmp_path: Path, ranks: int) -> None:
    code = "import os, sys; print(rank, size, sys.argv[1:], os.environ['OPENBLAS_NUM_THREADS'])"
    job = run(tmp_path, WORLD + code, ranks, threads=3)
    assert (job.returncode, job.stderr) == (0, "")
    assert sorted(job.stdout.split("\n"))[1:] == [f"{rank} {ranks} ['--size', '3'] 3" for rank in range(ranks)]


def test_modules_code_and_commands_run_too(tmp_path: Path) -> None:
    assert launch(["-m", "platform"], 1, capture=True, timeout=LIMIT).returncode == 0
    assert launch(["-c", "import sys; print(sys.argv)", "x"], 1, capture=True).stdout == "['-c', 'x']\n"
    assert launch(["echo", "hi"], 2, capture=True, timeout=LIMIT).stdout == "hi\nhi\n"
    assert launch(["python", "-c", "print(1)"], 1, capture=True, timeout=LIMIT).stdout == "1\n"


def test_a_job_started_by_a_rank_is_a_world_of_its_own(tmp_path: Path) -> None:
    inner = "import sys; from mpi4py.MPI import COMM_WORLD as w; print('inner', w.Get_size())"
    root = Path(__file__).parent.parent
    code = f"""
import sys
sys.path.insert(0, {str(root)!r})
from parallel.comm.launch import launch
if rank == 0:
    print(launch(["-c", {inner!r}], 3, capture=True, timeout=20).stdout)
world.Barrier()
"""
    assert run(tmp_path, WORLD + code).stdout.count("inner 3") == 3


def test_plain_mpirun_works_too(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WORLD + "print(rank, size)")
    command = [find_runtime().mpirun, "--oversubscribe", "-n", "4", sys.executable, program]
    as_root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    job = subprocess.run(command, env=os.environ | as_root, capture_output=True, text=True, timeout=LIMIT)
    assert sorted(job.stdout.split("\n"))[1:] == [f"{rank} 4" for rank in range(4)]


# A job that fails


def test_a_rank_that_raises_ends_the_job_with_its_traceback_alone(tmp_path: Path) -> None:
    code = """
import numpy as np
def share(table):
    return table["missing"]
if rank == 1:
    share({})
world.Recv(np.empty(1), source=1)
"""
    start = time.monotonic()
    job = run(tmp_path, WORLD + code)
    assert time.monotonic() - start < 10
    assert job.returncode == 1
    assert job.stderr.startswith("Rank 1 of 2 failed:\nTraceback (most recent call last):\n")
    assert job.stderr.endswith("KeyError: 'missing'\nRank 1 ended the job.\n")
    assert 'return table["missing"]' in job.stderr
    assert "rank.py" not in job.stderr
    assert "runpy" not in job.stderr
    assert not BOILERPLATE.search(job.stderr)


def test_a_traceback_of_all_ranks_is_printed_once(tmp_path: Path) -> None:
    job = run(tmp_path, WORLD + "world.Barrier(); raise RuntimeError('all of us')", 3)
    assert job.stderr.count("RuntimeError: all of us") == 1
    assert job.stderr.count("Traceback") == 1


def test_the_causes_of_an_error_are_printed(tmp_path: Path) -> None:
    code = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('outer') from error\n"
    job = run(tmp_path, code, 1)
    assert job.stderr.index("ZeroDivisionError") < job.stderr.index("direct cause") < job.stderr.index("outer")


@pytest.mark.parametrize(
    ("code", "status", "sentence"),
    [
        (WORLD + "if rank == 1: raise SystemExit(3)\nworld.Barrier()", 3, "Rank 1 ended the job with status 3."),
        (WORLD + "if rank == 1: raise SystemExit('no data')\nworld.Barrier()", 1, "no data"),
        ("import os; raise SystemExit(int(os.environ['OMPI_COMM_WORLD_RANK']) * 4)", 4, ""),
        (WORLD + "import os\nif rank == 1: os.kill(os.getpid(), 9)\nworld.Barrier()", 137, "ended by signal 9"),
        (WORLD + "import os\nif rank: os.kill(os.getpid(), 11)\nworld.Barrier()", 139, "Segmentation fault"),
        ("x = = 1", 1, "SyntaxError"),
        ("import numpi", 1, "No module named 'numpi'"),
    ],
)  # fmt: skip
def test_the_status_is_that_of_the_rank_that_ended_the_job(
    tmp_path: Path, code: str, status: int, sentence: str
) -> None:
    job = run(tmp_path, code)
    assert job.returncode == status
    assert sentence in job.stderr
    assert not BOILERPLATE.search(job.stderr)


@pytest.mark.parametrize("where", ["", "observe(world).Barrier()\n"])
def test_a_spawned_thread_that_fails_ends_the_job_with_its_traceback(tmp_path: Path, where: str) -> None:
    code = """
import sys
sys.path.insert(0, ROOT)
import numpy as np
from parallel import observe, spawn
def fail(duplicate):
    raise RuntimeError("in the thread")
OBSERVED
if rank == 1:
    spawn(world, fail)
else:
    spawn(world, lambda duplicate: duplicate.Recv(np.empty(1), 1))
world.Recv(np.empty(1), 1 - rank)
"""
    root = Path(__file__).parent.parent
    job = run(tmp_path, WORLD + code.replace("ROOT", repr(str(root))).replace("OBSERVED", where))
    assert (job.returncode, job.timed_out) == (1, False)
    assert job.stderr.startswith("Rank 1 of 2 failed:\nTraceback")
    assert job.stderr.endswith("RuntimeError: in the thread\nRank 1 ended the job.\n")


LEAVE = "import os\nif rank: os._exit(0)\nworld.Barrier()"  # MPI takes a rank that does not finalize for a failed one


@pytest.mark.parametrize(
    ("code", "options", "status", "sentence"),
    [
        (WORLD + LEAVE, [], 1, "minigrad launch: the job ended with status 1 and no rank said why"),
        ("import time; time.sleep(60)", ["--timeout", "2"], 124, "parallel.simulate(program, ranks) says who waits"),
        ("raise SystemExit('no data')", [], 1, "no data"),
    ],
)
def test_the_command_says_a_word_when_nobody_else_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, options: list[str], status: int, sentence: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(code)
    assert main(["launch", "-n", "2", *options, "--", str(program)]) == status
    error = capfd.readouterr().err
    assert sentence in error
    assert ("no rank said why" in error) == ("no rank said why" in sentence)


# A job that must be ended. Its ranks do not listen to SIGTERM, and have children that mpirun does not know of.

SLEEPERS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], process_group=0)
print("pids", os.getpid(), os.getppid(), child.pid, flush=True)
time.sleep(100)
"""


def pids_in(output: str) -> set[int]:
    """The processes that SLEEPERS tells of: each rank, mpirun, and a child of each rank."""
    return {int(pid) for line in re.findall(r"pids ([\d ]+)", output) for pid in line.split()}


def test_a_job_out_of_time_is_killed_with_all_it_started(tmp_path: Path) -> None:
    start = time.monotonic()
    job = run(tmp_path, WORLD + SLEEPERS, timeout=4)
    assert job.timed_out
    assert job.returncode == 124
    assert time.monotonic() - start < 10
    assert len(pids_in(job.stdout)) == 5
    assert not [pid for pid in pids_in(job.stdout) if alive(pid)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_no_process_is_left_after_a_signal(tmp_path: Path, number: int, status: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(WORLD + SLEEPERS)
    command = [sys.executable, "-m", "minigrad.cli", "launch", "-n", "2", "--", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          cwd=Path(__file__).parent.parent) as job:  # fmt: skip
        assert job.stdout is not None
        assert job.stderr is not None
        pids = pids_in(job.stdout.readline() + job.stdout.readline())
        assert len(pids) == 5
        assert all(alive(pid) for pid in pids)
        job.send_signal(number)
        assert job.wait(timeout=15) == status
        assert "Traceback" not in job.stderr.read()
    assert not [pid for pid in pids if alive(pid)]


# What is refused


@pytest.mark.parametrize(
    ("argv", "options", "message"),
    [
        ([], {}, "nothing to run"),
        (["x.py"], {"ranks": 0}, "ranks=0 must be at least 1"),
        (["x.py"], {"ranks": -2}, "ranks=-2 must be at least 1"),
        (["x.py"], {"threads": 0}, "threads=0 must be at least 1"),
        (["x.py"], {"timeout": 0.0}, "timeout=0.0 must be a positive"),
        (["x.py"], {"hostfile": "no-such-hosts"}, "hostfile='no-such-hosts' does not exist"),
        (["no-such-program.py"], {}, "'no-such-program.py' does not exist in"),
        (["no-such-command"], {}, "'no-such-command' is no Python file"),
        (["-m"], {}, "-m must be followed by a module"),
    ],
)
def test_bad_input_is_refused_by_name(argv: list[str], options: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        launch(argv, **{"ranks": 2} | options)


# Which mpirun


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("Open MPI v5.0.11, package: Open MPI user@localhost Distribution, ident: 5.0.11", ("Open MPI", "5.0.11")),
        ("mpirun (Open MPI) 4.1.4\n\nReport bugs to", ("Open MPI", "4.1.4")),
        ("mpiexec (OpenRTE) 4.1.4", ("Open MPI", "4.1.4")),
        ("MPICH Version:      4.2.1\nMPICH Release date: 2024", ("MPICH", "4.2.1")),
        ("HYDRA build details:\n    Version:                                 4.0\n", ("MPICH", "4.0")),
        ("Intel(R) MPI Library 2021.13 for Linux* OS", ("Intel MPI", "2021.13")),
        ("Intel(R) MPI Library for Linux* OS, Version 2021.13 Build 20240701", ("Intel MPI", "2021.13")),
        ("GNU coreutils 9.1", None),
    ],
)  # fmt: skip
def test_versions_are_read(text: str, identity: tuple[str, str] | None) -> None:
    assert parse_version(text) == identity


def fake_mpirun(folder: Path, says: str) -> Path:
    """An mpirun that knows its version and nothing else."""
    folder.mkdir()
    program = folder / "mpirun"
    program.write_text(f"#!/bin/sh\nprintf '{says}'\n")
    program.chmod(0o755)
    return program


def test_an_mpirun_of_another_mpi_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = find_runtime()
    wrong = fake_mpirun(tmp_path / "other", "HYDRA build details:\\n    Version:    4.0\\n")
    older = fake_mpirun(tmp_path / "older", "mpirun (Open MPI) 4.1.4\\n")
    monkeypatch.setattr(mpirun, "_launchers", lambda library: [wrong, older, right.mpirun])
    assert find_runtime.__wrapped__() == right
    monkeypatch.setattr(mpirun, "_launchers", lambda library: [wrong, older])
    with pytest.raises(MpiNotFoundError, match=r"found only .*MPICH 4\.0\), .*4\.1\.4\), which would start n worlds"):
        find_runtime.__wrapped__()


def test_worlds_of_size_one_are_explained() -> None:
    sentence = world_mismatch(1, {"PMI_SIZE": "4"})
    assert sentence is not None
    assert "this mpirun belongs to another MPI" in sentence
    assert world_mismatch(4, {"OMPI_COMM_WORLD_SIZE": "4"}) is None
    assert world_mismatch(1, {}) is None


# What is shown of a job's errors

ABORTED = f"""{RULE}
MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD
  Proc: [[42455,1],1]
  Errorcode: 3

NOTE: invoking MPI_ABORT causes Open MPI to kill all MPI processes.
{RULE}
"""
UNKNOWN = f"{RULE}\nNo network interfaces were found for out-of-band communications.\n{RULE}\n"
FAILED = "Rank {0} of 4 failed:\nTraceback (most recent call last):\nValueError: boom\nRank {0} ended the job.\n"


def shown(*chunks: str) -> str:
    """What a filter passes on of text that arrives in these chunks."""
    errors = JobErrors()
    return "".join([errors.feed(chunk) for chunk in chunks] + [errors.finish()])


def test_messages_are_shortened_and_tracebacks_counted() -> None:
    assert shown(ABORTED) == "Rank 1 ended the job with status 3.\n"
    assert shown(UNKNOWN) == UNKNOWN
    assert shown(FAILED.format(1), ABORTED) == FAILED.format(1)
    assert shown(ABORTED, FAILED.format(1)) == FAILED.format(1)  # mpirun may overtake its rank
    several = FAILED.format(2) + FAILED.format(0) + FAILED.format(10)
    assert shown(several) == FAILED.format(2) + "The same was raised by rank 0, 10.\n"
    assert shown("step 3", FAILED.format(1)) == "step 3\n" + FAILED.format(1)
    assert shown("step 3", ABORTED) == "step 3\nRank 1 ended the job with status 3.\n"


def test_a_commands_last_word_needs_no_status_beside_it() -> None:
    last_word = "minigrad train: error: no room on the disk\n"
    assert shown(last_word, ABORTED) == last_word
    assert shown(ABORTED, last_word) == last_word
    assert shown("an error: something\n", ABORTED).endswith("Rank 1 ended the job with status 3.\n")
    killed = f"{RULE}\nPRTE noticed that process rank 1 on node a exited on\nsignal 9 (Killed).\n{RULE}\n"
    assert shown(last_word, killed).endswith("Rank 1 was ended by signal 9 (Killed).\n")


@given(st.lists(st.sampled_from([ABORTED, UNKNOWN, FAILED.format(1), FAILED.format(2), "step 1\r\n", "\n", "- a\n",
                                 "Rank and file\n", "-" * 80 + "\n"])), st.data())  # fmt: skip
def test_chunks_do_not_matter(parts: list[str], data: st.DataObject) -> None:
    text = "".join([*parts, "no end"])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert shown(*chunks).replace("\n", "") == shown(text).replace("\n", "")


@given(st.lists(st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))))
def test_a_programs_own_text_passes_whole(chunks: list[str]) -> None:
    assert shown(*chunks) == "".join(chunks)


def test_a_progress_bar_passes_at_once() -> None:
    errors = JobErrors()
    assert errors.feed("\r 10% loss 3.2") == "\r 10% loss 3.2"
    assert errors.feed("\r 20% loss 3.1") == "\r 20% loss 3.1"


def test_an_unfinished_message_is_not_lost() -> None:
    assert shown(ABORTED[:200]) == ABORTED[:200]
