"""CUDA exercises: what a student's kernel can do wrong is explained, and what cannot be checked here is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from minigrad.course import cuda_source, emulated
from minigrad.course.checking import BLOCKED, FAILED, PASSED, check_exercise, load_check
from minigrad.course.grading import grade_one
from minigrad.course.report import report
from minigrad.course.showing import show
from minigrad.course.table import exercise
from minigrad.course.workspace import Workspace
from minigrad.kernels import emulate

FILE = "minigrad/kernels/cuda/first_kernels.cu"
MATMUL, SOFTMAX = exercise("tiled_matmul"), exercise("row_softmax")


def write(workspace: Workspace, body: str, name: str = "tiled_matmul") -> Path:
    """Put a body between the braces of a kernel."""
    file = workspace.root / FILE
    start, end = cuda_source._body(file.read_text(), name)
    file.write_text(file.read_text()[:start] + body + file.read_text()[end:])
    return workspace.root


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("body", "sentences"),
    [
        ("\n    int i = 0\n", ["compiler", "first_kernels.cu:", "expected"]),
        ('\n#include "matmul.cu"\n', ["`#include` is not for a kernel of this exercise"]),
        ("\n    while (true) c[0] = 1;\n", ["had not returned after 2 s"]),
        ("\n    volatile int* p = nullptr; *p = 1;\n", ["CrashError", "SEGV"]),
        ("\n    c[-1] = 0;\n", ["WriteOutsideError: a thread writes 4 bytes outside of an array", FILE]),
        ("\n    c[0] = a[M * K];\n", ["ReadOutsideError: a thread reads 4 bytes outside of an array"]),
        ("\n    if (threadIdx.x) __syncthreads();\n", ["DeadlockError", "in __syncthreads at line"]),
        ("\n    c[0] = 0;\n", ["c[0, 0] = 0, expected 21", "no known mistake"]),
    ],
)  # fmt: skip
def test_a_bad_kernel_is_explained(
    body: str, sentences: list[str], perfect: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulated, "PATIENCE", 2.0)
    root = write(perfect, body)
    verdict = check_exercise(MATMUL, root)
    assert verdict.status == FAILED
    text = report(verdict)
    assert "Traceback" not in text
    for sentence in sentences:
        assert sentence in text, text


@pytest.mark.usefixtures("compiler")
def test_lines_are_those_of_the_students_file(perfect: Workspace) -> None:
    root = write(perfect, "\n    // one\n    // two\n    c[M * N] = 0;\n")
    line = 1 + (root / FILE).read_text().splitlines().index("    c[M * N] = 0;")
    assert f"in line {line} ({FILE}:{line})" in report(check_exercise(MATMUL, root))


@pytest.mark.usefixtures("compiler")
def test_a_broken_kernel_costs_only_itself(perfect: Workspace) -> None:
    root = write(perfect, " this is no CUDA ")
    assert grade_one(MATMUL, root).status == FAILED
    assert check_exercise(SOFTMAX, root).status == PASSED


def test_without_a_compiler_the_check_says_so(perfect: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    emulate.find_compiler.cache_clear()
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    verdict = check_exercise(MATMUL, perfect.root)
    emulate.find_compiler.cache_clear()
    assert verdict.status == BLOCKED
    assert "needs a C++20 compiler and found none; install g++" in report(verdict)
    monkeypatch.setattr(emulate, "find_compiler", missing)
    with pytest.raises(ValueError, match=r"exercise 23 cannot be drawn: .* needs a C"):
        show(MATMUL, perfect.root, perfect.root / "picture.png")


def missing() -> tuple[str, str]:
    raise RuntimeError("running CUDA kernels on the CPU needs a C++20 compiler")


@pytest.mark.usefixtures("compiler")
def test_without_the_sanitizer_the_numbers_are_checked_and_that_is_said(
    perfect: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = emulate.build

    def no_library(text: str, flags: tuple[str, ...], origin: Path) -> Path:
        if "-fsanitize=address" in flags:
            raise RuntimeError("g++ cannot compile first_kernels.cu:\ncannot find libasan.so")
        return build(text, flags, origin)

    monkeypatch.setattr(emulate, "build", no_library)
    verdict = check_exercise(MATMUL, perfect.root)
    assert verdict.status == PASSED
    assert "numbers only: the compiler has no AddressSanitizer" in report(verdict)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("row", [MATMUL, SOFTMAX], ids=lambda row: row.key)
def test_a_solved_exercise_is_drawn(row: object, solved: Path, tmp_path: Path) -> None:
    assert show(row, solved, tmp_path / "picture.png").stat().st_size > 10_000  # type: ignore[arg-type]


@pytest.mark.usefixtures("compiler")
def test_a_missing_barrier_is_a_wrong_number_every_time() -> None:
    """The order of the threads decides, not luck: asked twice, each case gives the same bits."""
    program, check = emulated.mutants_program(MATMUL), load_check(MATMUL)
    case = check.case((8, 8, 16), "first")
    body = emulated.mutant_bodies(MATMUL)["no_barrier_after_multiplying"]["tiled_matmul"]
    one, other = (
        emulated.launched(check, program, "no_barrier_after_multiplying", case, body)["c"].tobytes() for _ in range(2)
    )
    assert one == other
    assert one != check.expected(case)["c"].tobytes()
