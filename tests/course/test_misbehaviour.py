"""Whatever a student's file does, there is a readable answer, and it comes soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minigrad.course.checking import FAILED, check_exercise
from minigrad.course.process import REFERENCE
from minigrad.course.report import report
from minigrad.course.table import exercise
from minigrad.course.workspace import Workspace

Written = Callable[..., Path]


def answer(root: Path, number: int) -> str:
    """The report of one exercise, which must have failed, and soon."""
    begun = time.perf_counter()
    verdict = check_exercise(exercise(number), root, mpi=False)
    assert verdict.status == FAILED, report(verdict)
    assert time.perf_counter() - begun < 20
    text = report(verdict)
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize(
    ("body", "sentences"),
    [
        ("while True:\n        pass", ["had not returned after 3 s, at minigrad/ops/shape.py:"]),
        ("import time\n    time.sleep(60)", ["had not returned after 3 s, at minigrad/ops/shape.py:"]),
        ("import os\n    os._exit(0)", ["ended the process with exit status 0 instead of returning"]),
        ("import sys\n    sys.exit(0)", ["raised      SystemExit: 0 (minigrad/ops/shape.py:"]),
        ("import ctypes\n    ctypes.string_at(0)", ["crashed the process (SIGSEGV), at minigrad/ops/shape.py:"]),
        ("return unbroadcast(grad, shape)", ["RecursionError", "minigrad/ops/shape.py:"]),
        ("return None", ["type of the result = NoneType, expected ndarray"]),
        ("return [1.0]", ["expected"]),
        ("return 'right'", ["type of the result = str, expected ndarray"]),
        ("return object()", ["type of the result = object, expected ndarray"]),
        ("return grad.summ()", ["raised      AttributeError", "minigrad/ops/shape.py:"]),
        ("return grad.sum(axis=99)", ["raised      AxisError", "minigrad/ops/shape.py:"]),
        ("return np.zeros(10**12)", ["MemoryError"]),
        ("return grad.tolist() if shape else 1", ["type of the result = int, expected ndarray"]),
        ("raise ValueError", ["raised      ValueError:  (minigrad/ops/shape.py:"]),
        ("raise KeyboardInterrupt", ["raised      KeyboardInterrupt"]),
        ("print('look', shape)\n    return None", ["it printed  look"]),
        ("print('\\x1b[2J\\x07boo')\n    return None", ["it printed   [2J boo"]),
        ("print(*['x' * 99] * 10**6)\n    return None", ["called", "it printed"]),
    ],
)  # fmt: skip
def test_a_bad_body_is_explained(body: str, sentences: list[str], written: Written) -> None:
    text = answer(written(2, f"def unbroadcast(grad, shape):\n    {body}\n"), 2)
    for sentence in sentences:
        assert sentence in text


def test_a_syntax_error_is_shown_with_its_line(perfect: Workspace) -> None:
    file = perfect.root / "minigrad" / "ops" / "shape.py"
    file.write_text(file.read_text().replace("    added = grad.ndim - len(shape)", "    added = = grad"))
    text = answer(perfect.root, 2)
    assert "minigrad/ops/shape.py, line " in text
    assert "added = = grad" in text


def test_a_syntax_error_elsewhere_is_shown_too(perfect: Workspace) -> None:
    (perfect.root / "minigrad" / "autograd.py").write_text("def broken(:\n")
    text = answer(perfect.root, 2)
    assert "SyntaxError" in text
    assert "minigrad/autograd.py:1" in text


def test_a_deleted_or_renamed_function_is_missed_by_name(perfect: Workspace) -> None:
    file = perfect.root / "minigrad" / "ops" / "shape.py"
    file.write_text(file.read_text().replace("def unbroadcast(", "def unbroadcasted("))
    text = answer(perfect.root, 2)
    assert "minigrad/ops/shape.py has no function unbroadcast" in text
    assert "minigrad course reset 02" in text


def test_a_deleted_file_is_missed_by_name(perfect: Workspace) -> None:
    (perfect.root / "minigrad" / "ops" / "shape.py").unlink()
    text = answer(perfect.root, 2)
    assert "minigrad/ops/shape.py is not there" in text
    assert "minigrad course reset 02" in text


def test_a_file_that_is_no_text_is_told(perfect: Workspace) -> None:
    (perfect.root / "minigrad" / "ops" / "shape.py").write_bytes(b"\xff\xfe\x00")
    assert "minigrad/ops/shape.py" in answer(perfect.root, 2)


def test_a_deadlock_shows_who_waits_for_whom(written: Written) -> None:
    text = answer(
        written(6, "def ring_all_gather(comm, x):\n    comm.Send(x, (comm.Get_rank() + 1) % comm.Get_size())\n", 1), 6
    )
    assert "DeadlockError" in text
    assert "rank 0 waits in Send to" in text
    assert "parallel/collectives/ring.py" in text or "in ring.py" in text


def test_an_endless_loop_on_a_rank_is_ended(written: Written) -> None:
    text = answer(written(6, "def ring_all_gather(comm, x):\n    while True:\n        pass\n", 1), 6)
    assert "had not returned after 3 s, at parallel/collectives/ring.py:" in text


def test_a_wrong_count_of_messages_fails_although_the_sum_is_right(written: Written) -> None:
    right_sum = """
def ring_all_reduce(comm, x):
    total, arrived = x.copy(), x.copy()
    rank, p = comm.Get_rank(), comm.Get_size()
    passed = x.copy()
    for _ in range(p - 1):
        comm.Sendrecv(passed, (rank + 1) % p, 0, arrived, (rank - 1) % p, 0)
        total += arrived
        passed[...] = arrived
    x[...] = total
"""
    assert "messages sent by rank" in answer(written(6, right_sum, 2), 6)


def test_a_generator_that_ends_early_is_no_crash(written: Written) -> None:
    assert "expected" in answer(written(7, "def iterate(tau, step, start=1.0):\n    yield start\n"), 7)


def test_a_slow_function_is_stopped(written: Written) -> None:
    slow = "def unbroadcast(grad, shape):\n    import time\n    time.sleep(1)\n    return grad\n"
    text = answer(written(2, slow), 2)
    assert "shape" in text


def test_helper_functions_and_imports_are_welcome(perfect: Workspace) -> None:
    file = perfect.root / "minigrad" / "ops" / "shape.py"
    text = file.read_text().replace("    added = grad.ndim - len(shape)", "    added = my_helper(grad, shape)")
    file.write_text(
        text
        + "\n\nimport functools\n\n\ndef my_helper(grad, shape):\n"
        + "    return functools.reduce(int.__sub__, [grad.ndim, len(shape)])\n"
    )
    from minigrad.course.grading import grade_one

    for verdict in (check_exercise(exercise(2), perfect.root), grade_one(exercise(2), perfect.root)):
        assert verdict.status == "passed", report(verdict)


def test_a_deleted_file_is_not_taken_from_the_installed_package(perfect: Workspace) -> None:
    (perfect.root / "minigrad" / "device.py").unlink()
    assert "No module named 'minigrad.device'" in answer(perfect.root, 2)


def test_a_file_named_like_a_library_is_not_that_library(perfect: Workspace) -> None:
    for name in ("numpy", "hypothesis", "json", "traceback"):
        (perfect.root / f"{name}.py").write_text("raise SystemExit(0)")
    verdict = check_exercise(exercise(2), perfect.root)
    assert verdict.status == "passed", report(verdict)


def test_answers_from_elsewhere_do_not_count(perfect: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a module of ours come from another folder after all, its file gives it away."""
    (perfect.root / "minigrad" / "ops" / "elementwise.py").write_text(
        "from pathlib import Path\n"
        + (perfect.root / "minigrad" / "ops" / "elementwise.py")
        .read_text()
        .replace("from __future__ import annotations\n", "")
        + f"\n__file__ = {str(REFERENCE / 'minigrad' / 'ops' / 'elementwise.py')!r}\n"
    )
    assert "minigrad.ops.elementwise was not imported from" in answer(perfect.root, 1)
