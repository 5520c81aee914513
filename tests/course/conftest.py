"""What the tests of the course share: workspaces, empty and solved, and a way to write one function in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from minigrad.course.table import EXERCISES, exercise
from minigrad.course.workspace import Workspace, apply_solution, language, place, start
from minigrad.kernels import emulate


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as it is given out; not to be changed."""
    return start(tmp_path_factory.mktemp("course") / "empty").root


@pytest.fixture(scope="session")
def solved(empty: Path) -> Path:
    """A workspace with the reference's functions in it; not to be changed."""
    root = empty.parent / "solved"
    shutil.copytree(empty, root)
    for row in EXERCISES:
        apply_solution(row, root)
    return root


@pytest.fixture
def workspace(empty: Path, tmp_path: Path) -> Workspace:
    """A fresh empty workspace."""
    shutil.copytree(empty, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


@pytest.fixture
def perfect(solved: Path, tmp_path: Path) -> Workspace:
    """A fresh solved workspace."""
    shutil.copytree(solved, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


def write(root: Path, number: int, text: str, function: int = 0) -> None:
    """Put `text`, a definition, in the place of an exercise's function."""
    file, name = place(exercise(number).paths[function])
    path = root / file
    path.write_text(language(file).graft(path.read_text(), text, name))


@pytest.fixture
def compiler() -> None:
    """Leave a test out where no CUDA exercise can be compiled."""
    try:
        emulate.find_compiler()
    except RuntimeError:
        pytest.skip("no C++ compiler for the CUDA exercises")


@pytest.fixture(autouse=True)
def _compiler_of_a_row(request: pytest.FixtureRequest) -> None:
    """The same for the tests of each exercise, where it is one in CUDA."""
    parameters = getattr(request.node, "callspec", None)
    row = parameters.params.get("row") if parameters is not None else None
    if row is not None and row.is_cuda:
        request.getfixturevalue("compiler")


@pytest.fixture
def written(perfect: Workspace) -> Callable[..., Path]:
    """A solved workspace in which one function is replaced: `written(2, "def unbroadcast(grad, shape): ...")`."""

    def make(number: int, text: str, function: int = 0) -> Path:
        write(perfect.root, number, text, function)
        return perfect.root

    return make
