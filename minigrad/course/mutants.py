"""Known mistakes: wrong solutions with a name, and whether a student's answers are those of one of them.

A mutant is a file `exercises/exNN_name/mutants/MISTAKE.py` whose docstring says in a sentence what is wrong and
whose functions are put in the place of the reference's, as a student's are; of CUDA a file `MISTAKE.cu`, whose first
comment says it. The same files prove the checks: each must be caught, and called by its name.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from minigrad.course import emulated
from minigrad.course.compare import difference
from minigrad.course.table import Exercise
from minigrad.course.worker import load


class Mutant(NamedTuple):
    """A known mistake."""

    name: str
    mistake: str  # "the stretched axes are not summed", to be read after "this looks like:"
    file: Path


def mutants_of(exercise: Exercise) -> list[Mutant]:
    """The mutants of an exercise, by name."""
    found = []
    for file in sorted((exercise.folder / "mutants").glob("*.cu" if exercise.is_cuda else "*.py")):
        text = file.read_text(encoding="utf-8")
        said = first_comment(text) if exercise.is_cuda else text.split('"""')[1]
        found.append(Mutant(file.stem, " ".join(said.split()).rstrip("."), file))
    return found


def first_comment(text: str) -> str:
    r"""The comment that a CUDA file begins with.

    >>> first_comment("// one\n// two\nint x; // three")
    'one two'
    """
    lines = takewhile(lambda line: line.startswith("//"), text.splitlines())
    return " ".join(line.removeprefix("//").strip() for line in lines)


def outcome(check: ModuleType, case: dict[str, Any]) -> tuple[Any, str | None]:
    """What `check.run(case)` returns in this process, or the name of what it raises; of CUDA what the launch gives."""
    run = partial(emulated.run, check) if hasattr(check, "launch") else check.run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mistake may well divide by zero
        try:
            return run(case), None
        except Exception as error:
            return None, type(error).__name__


def same_outcome(
    check: ModuleType, case: dict[str, Any], one: tuple[Any, str | None], other: tuple[Any, str | None]
) -> bool:
    """Whether two outcomes of one case cannot be told apart."""
    if one[1] is not None or other[1] is not None:
        return one[1] == other[1]
    return difference(viewed(check, case, one[0]), viewed(check, case, other[0])) is None


def viewed(check: ModuleType, case: dict[str, Any], output: Any) -> Any:
    """What of an output is compared: all of it, unless the check has a `view` of its own."""
    if not hasattr(check, "view"):
        return output
    try:
        return check.view(case, output)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):  # an output of another form
        return output


def diagnose(
    exercise: Exercise, check: ModuleType, answers: Sequence[tuple[dict[str, Any], tuple[Any, str | None]]]
) -> Mutant | None:
    """The known mistake that gives a student's answers, or None.

    Args:
        exercise: what was asked.
        check: its check, loaded.
        answers: cases and what the student's function gave, the case to be explained last.

    Returns:
        A mutant that gives the same in every case; if there is none, one that gives the same in the last case,
        and in more of the others than any other.
    """
    case, answer = answers[-1]
    right = outcome(check, case)
    best, most = None, -1
    for mutant in mutants_of(exercise):
        with planted(exercise, mutant):
            if not same_outcome(check, case, outcome(check, case), answer):
                continue
            agreeing = sum(same_outcome(check, other, outcome(check, other), given) for other, given in answers[:-1])
        if agreeing > most and not same_outcome(check, case, right, answer):
            best, most = mutant, agreeing
    # Two mistakes at once may look like one of them in a single case; by half the cases that is no accident.
    return best if 2 * most >= len(answers) - 1 else None


@contextmanager
def planted(exercise: Exercise, mutant: Mutant) -> Iterator[None]:
    """Put a mutant's functions in the place of the reference's, in this process, for the block."""
    if exercise.is_cuda:
        with emulated.planted(exercise, mutant.name):
            yield
        return
    wrong = load(f"_mutant_{exercise.key}_{mutant.name}", mutant.file)
    replaced: list[tuple[Any, str, Any]] = []
    for path in exercise.paths:
        owner, name = owner_of(path)
        outer = getattr(wrong, owner.__name__, None) if isinstance(owner, type) else wrong
        function = vars(outer).get(name) if outer is not None else None
        if function is not None and getattr(function, "__module__", None) == wrong.__name__:
            replaced.append((owner, name, vars(owner)[name]))
            setattr(owner, name, function)
    try:
        yield
    finally:
        for owner, name, function in replaced:
            setattr(owner, name, function)


def owner_of(path: str) -> tuple[Any, str]:
    """The module or class that holds the function of a dotted path, and the function's name there."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            owner: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1]
    raise ValueError(f"path={path!r} leads to nothing")
