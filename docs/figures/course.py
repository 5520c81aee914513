"""The notebooks as a map: what each needs, how long it takes, which exercises belong to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from drawing import Drawing

INDEX = Path(__file__).parent.parent / "notebooks" / "index.md"  # one row for each, with what it needs and its time


class Place(NamedTuple):
    """Where a notebook stands on the map.

    Args:
        title: in two words or so.
        column, row: counted from the upper left corner.
        ink: of its part of the course.
    """

    title: str
    column: int
    row: int
    ink: str


class Notebook(NamedTuple):
    """A row of the index.

    Args:
        number: of the notebook.
        needs: numbers of the notebooks that come before.
        exercises: numbers of those that belong to it.
        minutes: to read and to try.
    """

    number: int
    needs: tuple[int, ...]
    exercises: tuple[int, ...]
    minutes: int


PLACES = {  # such that no line runs behind a box
    1: Place("autograd", 0, 2, "blue"),
    2: Place("ring all-reduce", 1, 3, "orange"),
    3: Place("backward for real", 1, 6, "blue"),
    4: Place("a GPT, in parts", 1, 2, "blue"),
    5: Place("optimizers, raced", 1, 0, "blue"),
    6: Place("mixed precision", 1, 1, "blue"),
    7: Place("memory and time", 2, 6, "blue"),
    8: Place("message passing", 0, 4, "orange"),
    9: Place("five all-reduces", 2, 4, "orange"),
    10: Place("data parallel", 2, 0, "green"),
    11: Place("ZeRO's memory", 3, 1, "green"),
    12: Place("tensor parallel", 3, 2, "green"),
    13: Place("staleness", 2, 3, "green"),
    14: Place("matmul, a ladder", 4, 4, "purple"),
    15: Place("fused kernels", 4, 5, "purple"),
    16: Place("first CUDA kernels", 4, 6, "purple"),
    17: Place("pipelines", 2, 5, "green"),
    18: Place("capstone", 4, 3, "green"),
}
PARTS = (("one device", "blue"), ("kernels", "purple"), ("messages", "orange"), ("many devices", "green"))
LEFT, TOP, WIDTH, HEIGHT, STEP_X, STEP_Y = 16, 92, 132, 62, 149, 84


def notebooks() -> list[Notebook]:
    """What the index says, in its order."""
    found = []
    for line in INDEX.read_text(encoding="utf-8").splitlines():
        row = re.match(r"\| \[(\d+)\. .*?\]\(.*?\) \|(.*)\|(.*)\| (\d+) min \|", line)
        if row:
            learn, needs = row[2], row[3]
            exercises = re.search(r"exercises? ([\d, ]+(?:(?:to|and) \d+)?)", learn)
            found.append(Notebook(int(row[1]), numbers(needs), numbers(exercises[1] if exercises else ""), int(row[4])))
    return found


def numbers(text: str) -> tuple[int, ...]:
    """All whole numbers in a text; "28 to 31" are four."""
    found: list[int] = []
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", text):
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def corner(number: int) -> tuple[float, float]:
    """The upper left corner of a notebook's box."""
    if number not in PLACES:
        raise ValueError(f"notebook {number} has no place on the map: give it one in PLACES")
    return LEFT + STEP_X * PLACES[number].column, TOP + STEP_Y * PLACES[number].row


def exercises_of(notebook: Notebook) -> str:
    """As "07, 20-21": numbers that follow one another are one run."""
    runs: list[list[int]] = []
    for number in notebook.exercises:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{run[0]:02}" if len(run) == 1 else f"{run[0]:02}-{run[-1]:02}" for run in runs]
    return ", ".join(parts)


def draw() -> Drawing:
    """Boxes in five columns, and a line for each thing needed."""
    rows = notebooks()
    picture = Drawing(760, 700, "A map of the course: its notebooks, what each needs, its time and its exercises")
    hours = sum(notebook.minutes for notebook in rows) / 60
    title = f"{len(rows)} notebooks, {hours:.0f} hours, and the exercises that belong to them"
    picture.text(20, 32, title, align="left", bold=True, size=17)
    for number, (name, ink) in enumerate(PARTS):
        picture.rect(20 + 140 * number, 50, 18, 18, fill="card", stroke=ink, radius=3)
        picture.text(20 + 140 * number + 26, 64, name, align="left", size=14.5)
    for notebook in rows:
        for needed in notebook.needs:
            picture.line(*line_ends(needed, notebook.number), ink="line", thickness=1.5)
    for notebook in rows:
        draw_box(picture, notebook)
    words = "A line leads from what is needed to what needs it. Below a title stand its exercises. Begin at 1, 8 or 14."
    picture.text(20, 688, words, align="left", ink="soft", size=14)
    return picture


def line_ends(needed: int, number: int) -> tuple[float, float, float, float]:
    """x and y where a line begins, and where it ends: to the right where it can, else downwards."""
    (x0, y0), (x1, y1) = corner(needed), corner(number)
    if x1 > x0:
        return x0 + WIDTH, y0 + HEIGHT / 2, x1, y1 + HEIGHT / 2
    return x0 + WIDTH / 2, y0 + HEIGHT, x1 + WIDTH / 2, y1


def draw_box(picture: Drawing, notebook: Notebook) -> None:
    """Its number, time, title and exercises."""
    x, y = corner(notebook.number)
    place = PLACES[notebook.number]
    picture.rect(x, y, WIDTH, HEIGHT, fill="card", stroke=place.ink, thickness=2)
    picture.text(x + 8, y + 20, f"{notebook.number}", align="left", bold=True, ink=place.ink, size=15)
    picture.text(x + WIDTH - 8, y + 20, f"{notebook.minutes} min", align="right", ink="soft", size=13)
    picture.text(x + 8, y + 38, place.title, align="left", size=13)
    picture.text(x + 8, y + 55, exercises_of(notebook), align="left", ink="soft", size=13)
