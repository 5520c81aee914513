"""Grade a workspace: each exercise alone, in a copy of the reference that has only its functions from the student.

So a broken exercise 02 costs nothing in exercise 03, and whatever else a student has changed, added or broken plays
no part. Of the student's files only text is read here; their functions run in processes of their own.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from minigrad.course.checking import FAILED, Verdict, check_exercise, unreadable
from minigrad.course.table import EXERCISES, Exercise
from minigrad.course.workspace import Workspace, overlay


def grade(
    workspace: Workspace, seed: int | None = None, mpi: bool = True, each: Callable[[Verdict], None] | None = None
) -> tuple[list[Verdict], int]:
    """Grade all exercises.

    Args:
        workspace: what a student hands in.
        seed: of the search for cases; None draws one, so that nobody can learn the cases by heart.
        mpi: whether to run the parallel exercises under mpirun too.
        each: called with each verdict as it comes.

    Returns:
        A verdict for each exercise, and the seed.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    verdicts = []
    for exercise in EXERCISES:
        verdict = grade_one(exercise, workspace.root, seed, mpi)
        verdicts.append(verdict)
        if each is not None:
            each(verdict)
    return verdicts, seed


def grade_one(exercise: Exercise, student: Path, seed: int = 0, mpi: bool = True) -> Verdict:
    """Grade one exercise of the workspace in `student`."""
    if verdict := unreadable(exercise, student):
        return verdict
    with tempfile.TemporaryDirectory(prefix="minigrad-grade-") as name:
        try:
            overlay(exercise, student, Path(name))
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            return Verdict(exercise, FAILED, [("unreadable", str(error))])
        return check_exercise(exercise, Path(name), seed, mpi)
