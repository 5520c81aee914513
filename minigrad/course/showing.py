"""A picture of the student's code at work: its functions run in their own process, the drawing is done here."""

from __future__ import annotations

from pathlib import Path

from minigrad.course.emulated import CompilerError, EmulatedProcess, NoCompilerError
from minigrad.course.process import Ended, StudentProcess
from minigrad.course.table import Exercise
from minigrad.course.worker import load


def show(exercise: Exercise, root: Path, path: Path) -> Path:
    """Run an exercise's example with the student's functions, and draw what they did.

    Args:
        exercise: which.
        root: the folder with the student's packages.
        path: the PNG to write.

    Returns:
        The file written.

    Raises:
        ValueError: the student's code gave no answer that could be drawn, with the reason.
    """
    from matplotlib.figure import Figure

    file = exercise.folder / "picture.py"
    picture = load(f"_picture_{exercise.key}", file)
    try:
        process = EmulatedProcess(exercise, root, picture) if exercise.is_cuda else StudentProcess(root, file)
        with process:
            value, problem = process.ask(picture.CASE if exercise.is_cuda else {})
    except (NoCompilerError, CompilerError) as error:
        raise ValueError(f"exercise {exercise.number:02} cannot be drawn: {str(error).splitlines()[0]}") from error
    if problem is not None:
        where = f" ({problem.where})" if problem.where else ""
        said = problem.how if isinstance(problem, Ended) else f"{problem.type}: {problem.message}".splitlines()[0]
        raise ValueError(f"exercise {exercise.number:02} cannot be drawn yet, your code says: {said}{where}")
    figure = Figure(figsize=(9, 4.8), layout="constrained", facecolor="white")
    try:
        figure = picture.draw(figure, value) or figure
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"exercise {exercise.number:02} cannot be drawn: your function returned something of another form ({error})"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path
