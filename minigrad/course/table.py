"""The exercises, one row each, in the order of their numbers.

A new one is a row in the table of its part (part_engine.py, part_training.py, part_parallel.py,
part_pipeline.py) and a folder `exercises/exNN_name/` with its text (text.md), its check (check.py), its wrong
solutions (mutants/*.py) and its picture (picture.py); docs/course/for-teachers.md tells how to write them.
"""

from __future__ import annotations

from difflib import get_close_matches

from minigrad.course.exercise import Exercise
from minigrad.course.part_engine import ENGINE
from minigrad.course.part_parallel import PARALLEL
from minigrad.course.part_pipeline import PIPELINE
from minigrad.course.part_training import TRAINING

__all__ = ["EXERCISES", "Exercise", "exercise"]

EXERCISES = tuple(sorted((*ENGINE, *TRAINING, *PARALLEL, *PIPELINE), key=lambda row: row.number))


def exercise(name: str | int) -> Exercise:
    """The exercise called `name`: 6, "6", "06", "ex06" or "ring_all_reduce".

    Raises:
        ValueError: there is none.
    """
    text = str(name).strip().lower()
    digits = text.removeprefix("ex").partition("_")[0]
    for row in EXERCISES:
        if text == row.name or (digits.isdecimal() and int(digits) == row.number):
            return row
    near = get_close_matches(text, [row.name for row in EXERCISES], n=1, cutoff=0.4)
    first, last = EXERCISES[0].number, EXERCISES[-1].number
    gaps = sorted(set(range(first, last + 1)) - {row.number for row in EXERCISES})
    numbers = f"{first:02} to {last:02}" + "".join(f", without {gap:02}" for gap in gaps)
    advice = f"did you mean {near[0]}?" if near else f"they are numbered {numbers}"
    raise ValueError(f"exercise={str(name)!r} is not one of the exercises: {advice}")
