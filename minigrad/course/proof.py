"""The proof that the checks can fail, and the table of it: `python -m minigrad.course.proof > docs/course/mutants.md`.

Every mutant is put into a copy of the reference, as a student's function would be, and checked like one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from minigrad.course import source
from minigrad.course.checking import PASSED, Verdict, check_exercise
from minigrad.course.mutants import Mutant, mutants_of
from minigrad.course.process import REFERENCE
from minigrad.course.table import EXERCISES, Exercise
from minigrad.course.workspace import copy_packages, language, place

HEAD = """\
# What the checks catch

For each exercise the wrong solutions that are kept with it. Every one must fail its check, and at least four in
five must be called by their own name, in the words of the last column. This page is made by
`python -m minigrad.course.proof`; a test makes it again and compares.

"""


class Row(NamedTuple):
    """What the check said to one mutant."""

    exercise: Exercise
    mutant: Mutant
    verdict: Verdict

    @property
    def killed(self) -> bool:
        """Whether the check failed it."""
        return self.verdict.status != PASSED

    @property
    def named(self) -> bool:
        """Whether it was taken for what it is."""
        return self.verdict.mistake is not None and self.verdict.mistake.name == self.mutant.name


def proof(exercises: Iterable[Exercise] = EXERCISES) -> list[Row]:
    """Check every mutant of some exercises, simulated only."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="minigrad-mutants-") as name:
        root = Path(name)
        copy_packages(root)
        for exercise in exercises:
            for mutant in mutants_of(exercise):
                plant(exercise, mutant, root)
                rows.append(Row(exercise, mutant, check_exercise(exercise, root, mpi=False)))
                uproot(exercise, root)
    return rows


def plant(exercise: Exercise, mutant: Mutant, root: Path) -> None:
    """Put a mutant's functions into the copy of the reference below `root`."""
    donor = mutant.file.read_text(encoding="utf-8")
    for path in exercise.paths:
        file, name = place(path)
        try:
            text = language(file).graft((root / file).read_text(encoding="utf-8"), donor, name)
        except source.MissingFunctionError:  # a mutant need not get all functions wrong
            continue
        (root / file).write_text(text, encoding="utf-8")


def uproot(exercise: Exercise, root: Path) -> None:
    """Put the reference's files of an exercise back."""
    for path in exercise.paths:
        file, _ = place(path)
        shutil.copyfile(REFERENCE / file, root / file)


def page(rows: list[Row]) -> str:
    """The table, in Markdown."""
    named, killed = sum(row.named for row in rows), sum(row.killed for row in rows)
    text = HEAD + f"{len(rows)} wrong solutions: {killed} caught, {named} called by their name.\n"
    for exercise in dict.fromkeys(row.exercise for row in rows):
        own = [row for row in rows if row.exercise == exercise]
        text += f"\n## {exercise.number:02}: {exercise.title}\n\n"
        text += "| wrong solution | caught | named | what the student reads |\n|---|---|---|---|\n"
        for row in own:
            mistake = row.verdict.mistake
            said = mistake.mistake if mistake is not None else next(t for label, t in reversed(row.verdict.lines))
            yes = {True: "yes", False: "**no**"}
            name = row.mutant.name.replace("_", " ")
            text += f"| {name} | {yes[row.killed]} | {yes[row.named]} | {said.replace('|', chr(92) + '|')} |\n"
    return text


if __name__ == "__main__":
    print(page(proof()), end="")
