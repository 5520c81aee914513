"""A workspace is a faithful copy but for the asked bodies, and a student's work is never lost."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.course import cuda_source, source
from minigrad.course.checking import PASSED, TO_DO, check_exercise
from minigrad.course.process import REFERENCE
from minigrad.course.table import EXERCISES, exercise
from minigrad.course.workspace import STATE, Workspace, apply_solution, files_of, names_in, start

OTHERS = {"minigrad/commands/course.py"}  # passes the course's commands on to the installed one


def files(root: Path) -> set[str]:
    """The packages' files, without the course."""
    found = {
        path.relative_to(root).as_posix()
        for package in ("minigrad", "parallel")
        for path in (root / package).rglob("*")
    }
    return {
        path
        for path in found
        if (root / path).is_file() and "__pycache__" not in path and not path.startswith("minigrad/course/")
    }


def test_only_the_asked_bodies_differ(empty: Path) -> None:
    assert files(empty) == files(REFERENCE)
    asked = {file for row in EXERCISES for file in files_of(row)}
    for file in files(REFERENCE) - OTHERS:
        ours, theirs = (REFERENCE / file).read_bytes(), (empty / file).read_bytes()
        if file not in asked:
            assert ours == theirs, file
            continue
        if file.endswith(".cu"):
            refilled = theirs.decode()
            for row in EXERCISES:
                for name in names_in(row, file):
                    assert cuda_source.is_hollow(theirs.decode(), name)
                    refilled = cuda_source.graft(refilled, ours.decode(), name)
            assert refilled == ours.decode(), file
            continue
        one, other = ast.parse(ours), ast.parse(theirs)
        for row in EXERCISES:
            for name in names_in(row, file):
                assert source.is_hollow(theirs.decode(), name)
                assert ast.get_docstring(source.find(one, name)) == ast.get_docstring(source.find(other, name))
                source.find(one, name).body = source.find(other, name).body = [ast.Pass()]
        assert ast.dump(one) == ast.dump(other), file


def test_the_message_names_exercise_and_function(empty: Path) -> None:
    code = "from minigrad.ops.shape import unbroadcast; unbroadcast(None, ())"
    done = subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "NotImplementedError: exercise 02: unbroadcast"


def test_no_solution_is_in_the_workspace(empty: Path) -> None:
    assert not (empty / "minigrad" / "course").exists()
    for name in ("README.md", "AI_POLICY.md", "pytest.ini", "course.py", "test_exercises.py", STATE):
        assert (empty / name).is_file()


@pytest.mark.parametrize("kind", ["full", "file", "inside", "unwritable"])
def test_start_refuses_what_it_would_harm(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "ws"
    if kind == "full":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    elif kind == "inside":
        target = REFERENCE / "minigrad" / "ws"
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((ValueError, PermissionError), match=r"another folder|does not exist yet|outside") as caught:
        start(target)
    assert f"DIR={target}" in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_start_takes_an_empty_folder_and_a_deep_one(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    assert (start(tmp_path / "ws").root / "minigrad").is_dir()
    assert (start(tmp_path / "a" / "b" / "c").root / "minigrad").is_dir()


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(root: Path) -> None:
        (root / "half").write_text("")
        raise OSError("no space left")

    monkeypatch.setattr("minigrad.course.workspace.fill", full)
    with pytest.raises(OSError, match="no space"):
        start(tmp_path / "ws")
    assert list(tmp_path.iterdir()) == []


def test_another_version_is_refused_with_a_way_out(workspace: Workspace) -> None:
    state = json.loads((workspace.root / STATE).read_text()) | {"version": "0.0.1"}
    (workspace.root / STATE).write_text(json.dumps(state))
    with pytest.raises(ValueError, match=r"made by minigrad 0\.0\.1.*pip install minigrad==0\.0\.1"):
        Workspace(workspace.root)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"exercises": 3}'])
def test_a_damaged_state_is_told(text: str, workspace: Workspace) -> None:
    (workspace.root / STATE).write_text(text)
    with pytest.raises(ValueError, match="damaged"):
        Workspace(workspace.root)


def test_no_workspace_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no workspace"):
        Workspace(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        Workspace(tmp_path / "none")


def test_reset_empties_one_exercise_and_keeps_a_copy(perfect: Workspace) -> None:
    file = perfect.root / "minigrad" / "kernels" / "naive_cpu.py"
    file.write_text(file.read_text() + "\n# mine\n")
    mine = file.read_text()
    backup = perfect.reset(exercise(4))
    assert (backup / "minigrad" / "kernels" / "naive_cpu.py").read_text() == mine
    assert file.read_text().endswith("# mine\n")
    assert check_exercise(exercise(4), perfect.root).status == TO_DO
    assert check_exercise(exercise(3), perfect.root).status == PASSED  # in the same file
    assert perfect.reset(exercise(4)) != backup


@pytest.mark.parametrize("damage", ["def broken(:\n", None, "x = 1\n"])
def test_reset_brings_back_what_is_gone(damage: str | None, perfect: Workspace) -> None:
    file = perfect.root / "minigrad" / "ops" / "shape.py"
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    backup = perfect.reset(exercise(2))
    assert check_exercise(exercise(2), perfect.root).status == TO_DO
    if damage is not None:
        assert (backup / "minigrad" / "ops" / "shape.py").read_text() == damage
    apply_solution(exercise(2), perfect.root)
    assert check_exercise(exercise(2), perfect.root).status == PASSED


def test_pytest_and_notebooks_get_the_same_checks(perfect: Workspace) -> None:
    env = os.environ | {"PYTHONPATH": str(REFERENCE)}
    perfect.reset(exercise(3))
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "ex02 or ex03", "--color=no"]
    done = subprocess.run(run, cwd=perfect.root, capture_output=True, text=True, timeout=60, env=env)
    assert f"1 failed, 1 passed, {len(EXERCISES) - 2} deselected" in done.stdout, done.stdout
    assert "softmax_backward (minigrad/kernels/naive_cpu.py" in done.stdout
    code = "from course import check; print(check('ex02'), check('ex03'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=perfect.root, capture_output=True, text=True, timeout=60, env=env
    )
    assert "True False" in done.stdout, done.stdout + done.stderr
