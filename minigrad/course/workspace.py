"""A student's workspace: a copy of both packages with the asked functions empty, and what is kept about it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from minigrad import __version__
from minigrad.course import cuda_source, source
from minigrad.course.process import REFERENCE
from minigrad.course.table import EXERCISES, Exercise

STATE = ".minigrad-course.json"
PACKAGES = ("minigrad", "parallel")
FILES = Path(__file__).resolve().parent / "workspace_files"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "course")


class Workspace:
    """A workspace on disk.

    Args:
        root: its folder.

    Raises:
        ValueError: the folder is no workspace, is damaged, or was made by another version.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.state = self._read_state()
        made_by = self.state.get("version")
        if made_by != __version__:
            raise ValueError(
                f"workspace {root} was made by minigrad {made_by}, and {__version__} is installed: install that "
                f"version (pip install minigrad=={made_by}), or start another workspace and copy your functions"
            )

    def _read_state(self) -> dict[str, Any]:
        file = self.root / STATE
        if not self.root.is_dir():
            name = self.root.name
            raise ValueError(f"workspace {self.root} does not exist: `minigrad course start {name}` makes one")
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(
                f"{self.root} is no workspace: go to the folder that `minigrad course start` made, "
                "or name it with --dir"
            ) from None
        except ValueError:
            state = None
        if not isinstance(state, dict) or not isinstance(state.get("exercises", {}), dict):
            raise ValueError(
                f"{file} is damaged: it only remembers hints and results, so replace what is in it by "
                f'{{"version": "{__version__}", "installed": "{REFERENCE}"}}'.replace("\\", "/")
            )
        return state

    def note(self, exercise: Exercise) -> dict[str, Any]:
        """What is remembered about an exercise: status, hints, give-ups. Change it, then `save`."""
        notes = self.state.setdefault("exercises", {}).setdefault(exercise.key, {})
        if not isinstance(notes, dict):
            notes = self.state["exercises"][exercise.key] = {}
        return notes

    def save(self) -> None:
        """Write what is remembered, whole or not at all."""
        handle, name = tempfile.mkstemp(dir=self.root, prefix=".state-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(self.state, file, indent=2)
        os.replace(name, self.root / STATE)

    def digest(self, exercise: Exercise) -> str:
        """A short fingerprint of the files an exercise's functions are in."""
        sums = hashlib.sha256()
        for file in files_of(exercise):
            path = self.root / file
            sums.update(path.read_bytes() if path.is_file() else b"")
        return sums.hexdigest()[:16]

    def reset(self, exercise: Exercise) -> Path:
        """Make the exercise's functions empty again; the other functions in their files stay as they are.

        Where a file is gone, is no Python, or has lost the function, the whole file is put back as it was.

        Returns:
            The folder with a copy of every file as it was before.
        """
        backup = self.root / ".backup" / f"{exercise.key}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06}"
        backup.mkdir(parents=True)
        for file in files_of(exercise):
            path, kept = self.root / file, backup / file
            kept.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copy2(path, kept)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._emptied(exercise, file), encoding="utf-8")
        return backup

    def _emptied(self, exercise: Exercise, file: str) -> str:
        original = released(file)
        try:
            text = (self.root / file).read_text(encoding="utf-8")
            for name in names_in(exercise, file):
                text = language(file).graft(text, original, name)
            if not exercise.is_cuda:
                ast.parse(text)
        except (OSError, SyntaxError, ValueError):
            return original
        return text


def files_of(exercise: Exercise) -> list[str]:
    """The files that an exercise's functions are in, relative to the root."""
    return list(dict.fromkeys(place(path).file for path in exercise.paths))


def names_in(exercise: Exercise, file: str) -> list[str]:
    """The names of an exercise's functions in one file."""
    return [place(path).name for path in exercise.paths if place(path).file == file]


def place(path: str) -> source.Place:
    """Where a path of the table leads in the reference: "minigrad.ops.shape.f", or "minigrad/x.cu:kernel"."""
    file, colon, name = path.partition(":")
    return source.Place(file, name) if colon else source.locate(REFERENCE, path)


def language(file: str) -> ModuleType:
    """What finds, empties and grafts functions in a file: of Python, or of CUDA C."""
    return cuda_source if file.endswith((".cu", ".h")) else source


def released(file: str) -> str:
    """The reference's file with every asked function in it empty."""
    text = (REFERENCE / file).read_text(encoding="utf-8")
    for exercise in EXERCISES:
        for name in names_in(exercise, file):
            text = language(file).hollow(text, name, f"exercise {exercise.number:02}: {name}")
    return text


def start(target: Path) -> Workspace:
    """Make a workspace.

    Args:
        target: a folder that does not exist or is empty.

    Raises:
        ValueError: it has something in it, is a file, or lies in the installed packages.
        OSError: it cannot be written to.
    """
    target = target.absolute()
    if target.exists() and not target.is_dir():
        raise ValueError(f"DIR={target} is a file: name a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()):
        raise ValueError(f"DIR={target} is not empty, and nothing is ever overwritten: name another folder")
    if any(target.resolve().is_relative_to(REFERENCE / package) for package in PACKAGES):
        raise ValueError(f"DIR={target} lies in the installed package: name a folder outside {REFERENCE}")
    parent = next(folder for folder in target.parents if folder.exists())
    if not os.access(target if target.is_dir() else parent, os.W_OK | os.X_OK):
        raise PermissionError(f"DIR={target} cannot be made: {parent} may not be written to, name another folder")
    # Built beside it and moved there whole: a start that is interrupted leaves no half workspace.
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        fill(building)
        building.chmod(0o755)
        if target.is_dir():
            target.rmdir()
        building.rename(target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return Workspace(target)


def fill(root: Path) -> None:
    """Write a workspace's files into an empty folder."""
    copy_packages(root)
    for file in sorted({file for exercise in EXERCISES for file in files_of(exercise)}):
        (root / file).write_text(released(file), encoding="utf-8")
    shutil.copy(FILES / "delegate.py", root / "minigrad" / "commands" / "course.py")
    for name in ("README.md", "AI_POLICY.md", "course.py"):
        shutil.copy(FILES / name, root / name)
    template = (FILES / "test_exercises.py.txt").read_text(encoding="utf-8")
    keys = [exercise.key for exercise in EXERCISES]
    (root / "test_exercises.py").write_text(template.replace("{keys}", json.dumps(keys)), encoding="utf-8")
    markers = "\n".join(f"    {exercise.key}: {exercise.title}" for exercise in EXERCISES)
    settings = f"[pytest]\ntestpaths = test_exercises.py\nmarkers =\n{markers}\n"
    (root / "pytest.ini").write_text(settings, encoding="utf-8")
    (root / "exercises").mkdir()
    for exercise in EXERCISES:
        (root / "exercises" / f"{exercise.key}_{exercise.name}.md").write_text(exercise.text, encoding="utf-8")
    state = {"version": __version__, "installed": str(REFERENCE), "exercises": {}}
    (root / STATE).write_text(json.dumps(state, indent=2), encoding="utf-8")


def copy_packages(root: Path) -> None:
    """Copy the reference's packages, without the course."""
    for package in PACKAGES:
        shutil.copytree(REFERENCE / package, root / package, ignore=LEFT_OUT)


def overlay(exercise: Exercise, student: Path, root: Path) -> None:
    """Make below `root` a copy of the reference that has this one exercise's functions from the student.

    Raises:
        OSError, SyntaxError, ValueError: a function of the student's cannot be read.
    """
    copy_packages(root)
    for path in exercise.paths:
        file, name = place(path)
        donor, target = (student / file).read_text(encoding="utf-8"), root / file
        target.write_text(language(file).graft(target.read_text(encoding="utf-8"), donor, name), encoding="utf-8")


def apply_solution(exercise: Exercise, root: Path) -> None:
    """Put the reference's functions of one exercise into the packages below `root`."""
    for path in exercise.paths:
        file, name = place(path)
        target = root / file
        original = (REFERENCE / file).read_text(encoding="utf-8")
        target.write_text(language(file).graft(target.read_text(encoding="utf-8"), original, name), encoding="utf-8")


def solution(exercise: Exercise) -> Iterator[tuple[str, str]]:
    """The reference's functions of an exercise: (where, text)."""
    for path in exercise.paths:
        file, name = place(path)
        text = (REFERENCE / file).read_text(encoding="utf-8")
        yield f"{file}: {name}", language(file).text_of(text, name)
