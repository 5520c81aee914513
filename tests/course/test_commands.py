"""`minigrad course`, from start to solution, and what it says of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minigrad.commands.course import main
from minigrad.course.table import EXERCISES, exercise
from minigrad.course.watching import affected, stamps
from minigrad.course.workspace import STATE, Workspace, apply_solution, start

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a fresh workspace: (exit status, what it printed)."""
    monkeypatch.chdir(workspace.root)

    def call(*words: str) -> tuple[int, str]:
        status = main(words)
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return call


def test_the_way_through_an_exercise(run: Run, workspace: Workspace) -> None:
    status, text = run("check", "2")
    assert status == 1
    assert "stands on   exercise 01" in text
    for level in (1, 2, 3, 3):
        _, text = run("hint", "02")
        assert exercise(2).hints[level - 1] in text
        assert all(hint not in text for hint in exercise(2).hints[level:])
    status, text = run("solution", "02")
    assert status == 2
    assert "--give-up" in text
    assert "added" not in text
    apply_solution(exercise(2), workspace.root)
    assert run("check", "broadcasting") == (0, run("check", "ex02")[1])
    status, text = run("solution", "02")
    assert status == 0
    assert "def unbroadcast" in text
    _, text = run("status")
    assert "✓ 02 the gradient of broadcasting" in text
    assert "passed, 3 hints" in text
    assert "solution shown" not in text
    assert f"1 of {len(EXERCISES)} passed" in text
    _, text = run("reset", "02")
    assert ".backup" in text
    assert run("check", "02")[0] == 1


def test_giving_up_is_noted(run: Run, workspace: Workspace) -> None:
    status, text = run("solution", "02", "--give-up")
    assert status == 0
    assert "def unbroadcast" in text
    assert Workspace(workspace.root).note(exercise(2))["gave_up"] is True
    assert "solution shown" in run("status")[1]


def test_show_draws_the_students_code(run: Run, workspace: Workspace) -> None:
    status, text = run("show", "06")
    assert status == 2
    assert "cannot be drawn yet" in text
    apply_solution(exercise(6), workspace.root)
    status, text = run("show", "06")
    assert status == 0, text
    assert (workspace.root / "pictures" / "ex06.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("row", EXERCISES, ids=lambda row: row.key)
def test_every_exercise_has_a_picture(row: object, solved: Path, tmp_path: Path) -> None:
    from minigrad.course.showing import show

    assert show(row, solved, tmp_path / "p.png").stat().st_size > 5000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["check", "99"], "exercise='99' is not one of the exercises: they are numbered 01 to"),
        (["check", "27"], "they are numbered 01 to 31, without 27"),
        (["check", "brodcasting"], "did you mean broadcasting?"),
        (["hint"], "hint needs one exercise"),
        (["hint", "1", "2"], "hint needs one exercise"),
        (["start"], "start needs one folder"),
        (["start", "."], "is not empty, and nothing is ever overwritten"),
        (["grade", "nowhere"], "does not exist"),
        (["check", "--dir", "exercises"], "is no workspace"),
    ],
)
def test_bad_input_is_a_sentence_and_status_2(words: list[str], sentence: str, run: Run) -> None:
    status, text = run(*words)
    assert status == 2
    assert sentence in text
    assert text.count("\n") == 1


def test_a_folder_below_the_workspace_will_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("minigrad/ops")
    assert "exercise 02" in run("check", "02")[1]


def test_the_workspaces_own_command_asks_the_installed_course(workspace: Workspace) -> None:
    code = (
        "import argparse, importlib, sys\nfrom minigrad.commands import course\nparser = argparse.ArgumentParser()\n"
        "course.add_arguments(parser)\nsys.exit(course.run(parser.parse_args(['check', '02'])))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace.root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "unbroadcast (minigrad/ops/shape.py" in done.stdout


def test_watch_looks_at_what_was_saved() -> None:
    shape, cpu, naive = "minigrad/ops/shape.py", "minigrad/kernels/cpu.py", "minigrad/kernels/naive_cpu.py"
    assert affected({shape}, exercise(2)) == [exercise(2)]
    assert affected({naive}, exercise(3)) == [exercise(3)]
    assert affected({naive}, exercise(4)) == [exercise(3), exercise(4)]
    assert affected({"minigrad/nn/layers.py"}, exercise(2)) == [exercise(2)]
    assert affected({shape}, exercise(1)) == [exercise(2)]
    assert affected({naive, cpu}, None) == [exercise(number) for number in (3, 4, 8, 9)]
    assert affected({"minigrad/nn/layers.py"}, None) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.timeout(60)
def test_watch_answers_within_a_second_in_a_terminal(workspace: Workspace) -> None:
    import pty

    apply_solution(exercise(1), workspace.root)
    state = json.loads((workspace.root / STATE).read_text())
    state["exercises"]["ex01"] = {"status": "passed"}
    (workspace.root / STATE).write_text(json.dumps(state))
    terminal, inner = pty.openpty()
    asked = [sys.executable, "-P", "-m", "minigrad.course", "watch", "--dir", str(workspace.root)]
    path = {"PYTHONPATH": os.pathsep.join(sys.path[:1] + [str(Path(__file__).parents[2])])}
    watcher = subprocess.Popen(asked, stdin=inner, stdout=inner, stderr=inner, env=os.environ | path)
    os.close(inner)
    try:
        read_until(terminal, "read        exercises/ex02_broadcasting.md")
        time.sleep(0.3)
        file = workspace.root / "minigrad" / "ops" / "shape.py"
        seconds = []
        for wrong in (True, False):
            apply_solution(exercise(2), workspace.root)
            if wrong:
                right = file.read_text()
                file.write_text(right.replace("(*range(added), *stretched)", "(*range(added), )"))
                assert file.read_text() != right
            begun = time.perf_counter()
            read_until(terminal, "FAILED" if wrong else "passed")
            seconds.append(time.perf_counter() - begun)
        assert min(seconds) < 1.0, seconds  # the other may have met a busy machine
        assert max(seconds) < 5.0, seconds
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(10) in (0, -2, 130)
    finally:
        watcher.kill()
        watcher.wait()
        os.close(terminal)


def read_until(terminal: int, text: str) -> str:
    """What the terminal shows until `text` appears; fails after 20 s."""
    import select

    seen, deadline = "", time.monotonic() + 20
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{text!r} did not come: {seen}"
        seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


def test_stamps_see_every_change(workspace: Workspace) -> None:
    before = stamps(workspace.root)
    file = workspace.root / "minigrad" / "ops" / "shape.py"
    os.utime(file, ns=(0, 1))
    (workspace.root / "minigrad" / "new.py").write_text("")
    after = stamps(workspace.root)
    assert {path.name for path in after if after[path] != before.get(path)} == {"shape.py", "new.py"}


@pytest.mark.timeout(90)
def test_the_ring_is_checked_under_mpirun_too(perfect: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad.course.checking import check_exercise
    from minigrad.course.report import report
    from parallel.comm import launch as launch_module
    from parallel.comm.mpirun import MpiNotFoundError

    verdict = check_exercise(exercise(6), perfect.root)
    assert verdict.status == "passed", report(verdict)
    assert "mpirun      passed on 3 processes" in report(verdict)

    def none(*args: object, **kwargs: object) -> None:
        raise MpiNotFoundError("no mpirun here")

    monkeypatch.setattr(launch_module, "launch", none)
    verdict = check_exercise(exercise(6), perfect.root)
    assert verdict.status == "passed"
    assert "mpirun      blocked on 3 processes: no mpirun here" in report(verdict)


@pytest.mark.timeout(90)
def test_ranks_that_share_a_variable_pass_only_simulated(written: Callable[..., Path]) -> None:
    """Simulated ranks share a process: the right number of messages, but the sum made behind their back."""
    from minigrad.course.checking import check_exercise
    from minigrad.course.report import report

    text = """
def ring_all_reduce(comm, x, shared={}):
    key = id(comm.world) if hasattr(comm, "world") else 0
    mine = shared.setdefault((key, x.size), {})
    mine[comm.Get_rank()] = x.copy()
    ring_reduce_scatter(comm, x)
    ring_all_gather(comm, x)
    x[...] = sum(mine.values())
"""
    verdict = check_exercise(exercise(6), written(6, text, 2))
    assert verdict.status == "failed", report(verdict)
    assert "failed on 3 processes" in report(verdict)


def test_start_says_what_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["start", "ws"]) == 0
    assert "cd ws\n  minigrad course watch" in capsys.readouterr().out
    assert start(tmp_path / "other").state["exercises"] == {}
