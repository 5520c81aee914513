"""Grades: each exercise alone, full for the reference, none for an empty or a cheating workspace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from minigrad.course.checking import PASSED
from minigrad.course.grading import grade, grade_one
from minigrad.course.process import REFERENCE
from minigrad.course.report import gradescope, report
from minigrad.course.table import EXERCISES, exercise
from minigrad.course.workspace import STATE, Workspace

Written = Callable[..., Path]
SHAPE = "minigrad/ops/shape.py"


def score(workspace: Workspace) -> float:
    """The points of a workspace, without mpirun."""
    verdicts, seed = grade(workspace, seed=1, mpi=False)
    return float(gradescope(verdicts, [], 0.0, seed)["score"])


@pytest.mark.usefixtures("compiler")
def test_empty_is_nothing_and_perfect_is_all(workspace: Workspace, solved: Path) -> None:
    assert score(workspace) == 0
    assert score(Workspace(solved)) == sum(row.points for row in EXERCISES)


@pytest.mark.usefixtures("compiler")
def test_a_broken_exercise_costs_only_itself(perfect: Workspace) -> None:
    (perfect.root / SHAPE).write_text("def broken(:\n")
    (perfect.root / "minigrad" / "__init__.py").write_text("raise SystemExit(0)")
    verdicts, _ = grade(perfect, seed=1, mpi=False)
    assert [verdict.exercise.number for verdict in verdicts if verdict.status != PASSED] == [2]


def test_exercises_in_one_file_are_graded_apart(written: Written) -> None:
    """03 and 04 are both in kernels/naive_cpu.py; one that only fails when it is called breaks nothing else."""
    root = written(3, "def softmax_backward(grad, y, axis=-1):\n    import os\n    os._exit(0)\n")
    assert grade_one(exercise(3), root).status != PASSED
    assert grade_one(exercise(4), root).status == PASSED


CHEATS = {
    "prints a verdict": """
    print("passed", '{"returned": {}}', flush=True)
    """,
    "writes to every open file": """
    import os
    for fd in range(64):
        try:
            os.write(fd, b'{"dict": [["returned", 1]]}\\n')
        except OSError:
            pass
    """,
    "leaves in peace": """
    import os
    os._exit(0)
    """,
    "exits": """
    raise SystemExit(0)
    """,
    "calls the comparison equal": """
    import numpy as np
    np.testing.assert_allclose = np.allclose = np.array_equal = lambda *a, **k: True
    return grad
    """,
    "returns what equals everything": """
    return type("T", (), {"__eq__": lambda self, other: True, "shape": shape, "data": None})()
    """,
    "imports the installed one": """
    import sys
    sys.path.insert(0, REFERENCE)
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "StudentFiles"]
    for name in [name for name in sys.modules if name.startswith("minigrad")]:
        del sys.modules[name]
    from minigrad.ops.shape import unbroadcast
    return unbroadcast(grad, shape)
    """,
    "reads the installed one": """
    space = {}
    exec(open(REFERENCE + "/minigrad/ops/shape.py").read(), space)
    return space["unbroadcast"](grad, shape)
    """,
    "reads it by another way": """
    import os
    with open(os.path.join(os.path.relpath(REFERENCE), "minigrad", "ops", "shape.py"), "rb", buffering=0) as file:
        space = {}
        exec(file.readall(), space)
    return space["unbroadcast"](grad, shape)
    """,
    "asks another process": """
    import subprocess, sys
    code = "import sys; sys.path.insert(0, sys.argv[1]); from minigrad.ops.shape import unbroadcast"
    subprocess.run([sys.executable, "-c", code, REFERENCE], check=True)
    return grad
    """,
    "patches the check": """
    import sys
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "") == "_check":
            module.run = lambda case: {}
    """,
    "returns nan": """
    import numpy as np
    return np.full(shape, np.nan)
    """,
    "catches its own failure": """
    try:
        raise NotImplementedError
    except NotImplementedError:
        return grad
    """,
}


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_earn_nothing(name: str, written: Written) -> None:
    body = CHEATS[name].rstrip().replace("REFERENCE", repr(str(REFERENCE)))
    root = written(2, f"def unbroadcast(grad, shape):{body}\n")
    verdict = grade_one(exercise(2), root)
    assert verdict.status != PASSED, report(verdict)


def test_files_of_a_workspace_do_not_change_the_checks(workspace: Workspace) -> None:
    """Shadowing modules, hooks of pytest and Python, another course, claimed results: nothing of it counts."""
    lie = "import atexit, os\nprint('passed')\natexit.register(lambda: os._exit(0))\n"
    for file in (
        "numpy.py",
        "sitecustomize.py",
        "usercustomize.py",
        "conftest.py",
        "hypothesis.py",
        "json.py",
        "wire.py",
    ):
        (workspace.root / file).write_text(lie)
    (workspace.root / "minigrad" / "course").mkdir()
    (workspace.root / "minigrad" / "course" / "checking.py").write_text("def check_exercise(*a, **k): return None\n")
    (workspace.root / "test_exercises.py").write_text("def test(): pass\n")
    state = json.loads((workspace.root / STATE).read_text())
    state["exercises"] = {row.key: {"status": "passed", "score": 10, "hints": 0} for row in EXERCISES}
    state["installed"] = str(workspace.root)
    (workspace.root / STATE).write_text(json.dumps(state))
    asked = [sys.executable, "-P", "-m", "minigrad.course", "grade", ".", "--json", "-", "--no-mpi"]
    done = subprocess.run(asked, cwd=workspace.root, capture_output=True, text=True, timeout=60, env=installed())
    assert json.loads(done.stdout)["score"] == 0, done.stdout + done.stderr


def installed() -> dict[str, str]:
    """An environment in which `-m minigrad.course` is the one under test."""
    import os

    return os.environ | {"PYTHONPATH": str(REFERENCE)}


@pytest.mark.usefixtures("compiler")
def test_the_json_is_gradescopes(perfect: Workspace) -> None:
    perfect.note(exercise(2))["gave_up"] = True
    perfect.save()
    out = perfect.root.parent / "results.json"
    asked = [sys.executable, "-P", "-m", "minigrad.course", "grade", str(perfect.root), "--json", str(out), "--no-mpi"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=110, env=installed())
    assert done.returncode == 0, done.stderr
    assert f"score {10 * len(EXERCISES)} of {10 * len(EXERCISES)}" in done.stdout
    results = json.loads(out.read_text())
    assert results["score"] == sum(test["score"] for test in results["tests"]) == 10 * len(EXERCISES)
    assert [test["number"] for test in results["tests"]] == [f"{row.number:02}" for row in EXERCISES]
    for test in results["tests"]:
        assert {"score", "max_score", "name", "status", "output", "visibility", "tags"} <= test.keys()
        assert test["status"] in ("passed", "failed")
        assert isinstance(test["score"], float)
    assert "gave-up" in results["tests"][1]["tags"]
    assert "seed" in results["output"]


def test_the_seed_is_new_each_time_unless_given(workspace: Workspace) -> None:
    assert len({grade(workspace, mpi=False)[1] for _ in range(4)}) > 1
    assert grade(workspace, seed=7, mpi=False)[1] == 7
