"""`minigrad simulate`: functions and unchanged mpi4py scripts, their prints, pictures, and every way to fail."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.cli import main
from parallel.comm.script import RankOutput, program_in

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
RING, DEADLOCK, PI = (str(EXAMPLES / f"{name}.py") for name in ("ring", "deadlock", "pi"))


@pytest.fixture
def write(tmp_path):
    """Writes a program and returns its path."""

    def put(code: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(code, encoding="utf-8")
        return str(path)

    return put


def simulate(capsys, *argv: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of `minigrad simulate`."""
    try:
        status = main(["simulate", *argv])
    except SystemExit as stop:
        status = int(stop.code or 0)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_a_function_is_run_on_every_rank_and_summed_up(capsys):
    status, out, err = simulate(capsys, RING, "--ranks", "3", "--", "300", "1")
    assert (status, err) == (0, "")
    assert re.search(r"ring\.py on 3 ranks, message fidelity\n  virtual time  6\d\d µs\n  messages      12\n", out)
    assert "bytes         9.6 kB" in out  # 12 messages of 100 float64
    rows = re.findall(r"^  (\d)\s+(\S+ \S+)\s+600 µs\s+(\d+)%", out, re.MULTILINE)
    assert [row[0] for row in rows] == ["0", "1", "2"]


def test_of_many_ranks_the_table_has_three_lines(capsys):
    status, out, _ = simulate(capsys, RING, "--ranks", "20", "--", "20", "1")
    assert status == 0
    assert re.findall(r"^  (least|median|most|\d+) ", out, re.MULTILINE) == ["least", "median", "most"]


def test_a_catalogued_cluster_is_slower_between_its_machines(capsys):
    def seconds(cluster):
        status, out, _ = simulate(capsys, RING, "--ranks", "16", "--cluster", cluster, "--", "1000000", "1")
        assert status == 0
        value, unit = re.search(r"virtual time  (\S+) (\S+)", out).groups()
        return float(value) * {"s": 1, "ms": 1e-3, "µs": 1e-6}[unit]

    assert seconds("10gbe") > seconds("dgx-v100x2") > 600e-6


def test_an_unchanged_mpi4py_script_is_run_by_every_rank(capsys):
    status, out, err = simulate(capsys, PI, "--ranks", "5", "--", "1000")
    assert (status, err) == (0, "")
    assert out.startswith("[0] pi is about 3.141593\n")
    assert "collectives   10 calls" in out
    assert simulate(capsys, PI, "--no-prefix")[1].startswith("pi is about 3.141593\n")


def test_the_same_files_run_under_mpirun():
    """They are unchanged programs: this is what makes the simulation one of them."""
    from programs.plain_mpirun import plain_mpirun

    assert plain_mpirun([PI, "1000"], 2).stdout == "pi is about 3.141593\n"
    assert sorted(plain_mpirun([RING], 2).stdout.split()) == ["0:", "1:", "2.0", "2.0", "rank", "rank"]


SCRIPT = """
import mpi4py.MPI
from mpi4py import MPI
import sys
if __name__ == "__main__":
    comm = MPI.COMM_WORLD
    for part in ("a", "b"):
        print(part, comm.Get_rank(), end=" ")
        comm.Barrier()
    print(*sys.argv[1:])
    print("no end", end="")
"""


def test_lines_of_ranks_stay_whole_and_in_their_order(capsys, write):
    before = sys.modules.get("mpi4py"), sys.argv[:], sys.path[:]
    status, out, _ = simulate(capsys, write(SCRIPT), "--ranks", "2", "--", "x", "--flag")
    assert status == 0
    lines = out.splitlines()
    assert sorted(lines[:2]) == ["[0] a 0 b 0 x --flag", "[1] a 1 b 1 x --flag"]
    assert sorted(lines[2:4]) == ["[0] no end", "[1] no end"]
    assert (sys.modules.get("mpi4py"), sys.argv, sys.path) == before


def test_every_rank_of_a_script_has_variables_of_its_own(capsys, write):
    code = """
from mpi4py import MPI
mine = MPI.COMM_WORLD.Get_rank()
def read():
    return mine
MPI.COMM_WORLD.Barrier()
assert read() == MPI.COMM_WORLD.Get_rank()
"""
    assert simulate(capsys, write(code), "--ranks", "4")[0] == 0


def test_another_function_and_its_arguments_as_numbers(capsys, write):
    path = write("def train(comm, a, b, c):\n    print(repr(a), repr(b), repr(c))\n")
    status, out, _ = simulate(capsys, path, "--function", "train", "--ranks", "1", "--", "3", "0.5", "ring")
    assert status == 0
    assert out.startswith("[0] 3 0.5 'ring'\n")


def test_the_trace_is_five_files_that_agree(capsys, tmp_path):
    folder = tmp_path / "out"
    status, out, _ = simulate(capsys, RING, "--ranks", "3", "--trace", str(folder), "--", "300", "1")
    assert status == 0
    names = {"timeline.html", "timeline.png", "matrix.png", "trace.json", "spans.csv"}
    assert {path.name for path in folder.iterdir()} == names
    assert {line.rpartition("/")[2] for line in out.splitlines() if line.startswith("wrote")} == names
    with open(folder / "spans.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["kind"] == "send" for row in rows) == 12
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert sum(event["ph"] == "X" for event in events) == len(rows)
    assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert "ring.py on 3 ranks" in (folder / "timeline.html").read_text(encoding="utf-8")


def test_a_program_that_takes_no_time_leaves_its_empty_table(capsys, write, tmp_path):
    status, out, _ = simulate(capsys, write("def program(comm):\n    pass\n"), "--trace", str(tmp_path / "out"))
    assert status == 0
    assert "virtual time  0 s" in out
    assert not (tmp_path / "out" / "timeline.png").exists()


# ---- what can go wrong


def test_a_deadlock_is_told_and_drawn(capsys, tmp_path):
    status, out, err = simulate(capsys, DEADLOCK, "--ranks", "3", "--trace", str(tmp_path / "out"))
    assert status == 1
    assert re.search(r"deadlock: no rank can go on\n  rank 0 waits in Send to 1 tag 0 \(deadlock\.py:13\)", err)
    assert (tmp_path / "out" / "waiting.png").read_bytes().startswith(b"\x89PNG")
    assert "waiting.png" in out
    assert "--trace DIR draws who waits for whom" in simulate(capsys, DEADLOCK)[2]


def test_a_rank_that_raises_is_named_and_its_traceback_is_the_programs(capsys, write):
    code = """
import numpy as np
def work(comm):
    return np.ones(3) @ np.ones(4 if comm.Get_rank() == 2 else 3)
def program(comm):
    comm.Barrier()
    return work(comm)
"""
    status, _, err = simulate(capsys, write(code))
    assert status == 1
    assert err.startswith("Traceback (most recent call last):\n")
    assert re.findall(r'File ".*/(\w+\.py)", line (\d+), in (\w+)', err) == [
        ("mine.py", "7", "program"),
        ("mine.py", "4", "work"),
    ]
    assert err.endswith("raised by rank 2 of 4\n")


def test_wrong_arguments_of_a_call_point_at_the_programs_line(capsys, write):
    status, _, err = simulate(capsys, write("import numpy as np\ndef program(comm):\n    comm.Send(np.ones(1), 9)\n"))
    assert status == 1
    assert re.findall(r'File ".*/(\w+\.py)", line (\d+)', err) == [("mine.py", "3")]
    assert "rank 0: Send(dest=9, tag=0): dest must be a rank" in err


@pytest.mark.parametrize(
    ("code", "status", "sentence"),
    [
        ("import numpy as np\ndef program(comm):\n    comm.Irecv(np.ones(1), 0)\n", 1, "never waited for Irecv from 0"),
        (
            "def program(comm):\n    comm.Barrier() if comm.Get_rank() else comm.Dup()\n",
            1,
            "rank 1 calls Barrier",
        ),
        ("from mpi4py import MPI\nimport sys\nsys.exit(7)\n", 7, "rank 0 ended with sys.exit(7)"),
        ("from mpi4py import MPI\nimport sys\nsys.exit('sorry')\n", 1, "rank 0 ended with sys.exit('sorry')"),
        ("from mpi4py import MPI\nimport sys\nsys.exit()\n", 0, ""),
        ("def program(comm):\n  return (\n", 1, "SyntaxError"),
        ("x = 1\n", 2, "neither a function program(comm, ...) nor an import of mpi4py"),
        ("from mpi4py import MPI\nMPI.Open_port()\n", 1, "Open_port"),
        ("1 / 0\ndef program(comm):\n    pass\n", 1, "ZeroDivisionError"),
    ],
    ids=["unfinished", "mismatch", "exit 7", "exit words", "exit", "no Python", "no program", "no such name", "1/0"],
)
def test_whatever_goes_wrong_is_a_sentence_and_a_status(capsys, write, code, status, sentence):
    found, _, err = simulate(capsys, write(code))
    assert found == status, err
    assert sentence in err
    assert "minigrad/commands" not in err


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nowhere.py"], "PROGRAM nowhere.py is not there"),
        ([str(EXAMPLES)], "is a folder"),
        ([RING, "--ranks", "0"], "--ranks 0 must be 1 or more"),
        ([RING, "--cluster", "dgx-v99"], "dgx-v100"),
        ([RING, "--cluster", "nowhere.json"], "nowhere.json"),
        ([RING, "--function", "walk"], "has no function 'walk'"),
        ([RING, "--trace", RING], f"--trace {RING} must be a folder, it is a file"),
        ([RING, "--fidelity", "high"], "message"),
        ([], "PROGRAM.py"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(capsys, argv, sentence):
    status, out, err = simulate(capsys, *argv)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_ctrl_c_ends_it_cleanly(write):
    path = write("import time\ndef program(comm):\n    print('begun', flush=True)\n    time.sleep(60)\n")
    command = [sys.executable, "-m", "minigrad.cli", "simulate", path, "--ranks", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "[0] begun\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "minigrad simulate: interrupted\n"


def test_help_has_examples(capsys):
    status, out, _ = simulate(capsys, "--help")
    assert status == 0
    assert "minigrad simulate docs/examples/ring.py --trace out" in out


def test_output_of_nobody_in_particular_has_no_number(tmp_path):
    with open(tmp_path / "out", "w+", encoding="utf-8") as file:
        output = RankOutput(file, 12)
        print("before", file=output)
        print("open", end="", file=output)
        output.finish()
        file.seek(0)
        assert file.read() == "before\nopen\n"


def test_a_file_is_asked_for_its_program_without_being_run(tmp_path):
    path = tmp_path / "loud.py"
    path.write_text("raise AssertionError\n", encoding="utf-8")
    with pytest.raises(ValueError, match="neither"), program_in(path):
        pass
