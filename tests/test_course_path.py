"""The path through the course leaves nothing out: notebooks, what they need, their times, and all exercises."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from minigrad.course.table import EXERCISES

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / "docs" / page for page in ("course/path.md", "notebooks/index.md")]


@pytest.fixture(scope="module")
def course():
    """The program that draws the map."""
    sys.path.insert(0, str(ROOT / "docs" / "figures"))
    try:
        yield importlib.import_module("course")
    finally:
        sys.path.remove(str(ROOT / "docs" / "figures"))
        sys.modules.pop("course", None)
        sys.modules.pop("drawing", None)


@pytest.fixture(scope="module")
def rows(course):
    """The rows of the index, as the map reads them."""
    return {row.number: row for row in course.notebooks()}


def opening(path: Path) -> str:
    """A notebook's first cell."""
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])


def closing(path: Path) -> str:
    """A notebook's last cell."""
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][-1]["source"])


def numbers_of_exercises(path: Path) -> set[int]:
    """Those that a notebook's texts name."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    found: set[int] = set()
    for sentence in re.findall(r"[Ee]xercises? .*?(?:\n|$).*", text):
        for first, last in re.findall(r"\b(\d\d)\b(?: to (\d\d)\b)?", sentence):
            found |= set(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_in_the_index_with_its_time_and_says_its_goal(path, rows):
    number = int(path.name[:2])
    text = opening(path)
    assert text.startswith(f"# {number}. ")
    assert "**Goal.**" in text
    said = re.search(r"\*\*Time:?\*\*:? (\d+) min", text)
    if said:
        assert int(said[1]) == rows[number].minutes
    missing = set(rows[number].exercises) - numbers_of_exercises(path)
    assert not missing, f"{path.name} does not name exercises {missing}"
    assert f"](../../notebooks/{path.name})" in PAGES[1].read_text(encoding="utf-8")


def test_a_notebook_needs_only_what_there_is(rows):
    for row in rows.values():
        assert set(row.needs) <= set(rows), row
        assert row.number not in row.needs


def test_no_line_of_the_map_runs_behind_a_box(course, rows):
    """A line behind a box looks like one that begins or ends there."""
    for row in rows.values():
        for needed in row.needs:
            x0, y0, x1, y1 = course.line_ends(needed, row.number)
            for other in set(rows) - {needed, row.number}:
                left, top = course.corner(other)
                for part in range(201):
                    x, y = x0 + (x1 - x0) * part / 200, y0 + (y1 - y0) * part / 200
                    behind = left <= x <= left + course.WIDTH and top <= y <= top + course.HEIGHT
                    assert not behind, f"the line from {needed} to {row.number} runs behind {other}"


def test_no_two_boxes_of_the_map_share_a_place(course, rows):
    assert len({course.corner(number) for number in rows}) == len(rows) == len(course.PLACES)


def test_every_exercise_belongs_to_a_notebook_or_to_the_path(rows):
    text = PAGES[0].read_text(encoding="utf-8")
    cells = " ".join(line.split("|")[3] for line in text.splitlines() if line.startswith("| ["))
    on_the_path = {int(digits) for digits in re.findall(r"\b\d\d\b", cells)}
    numbers = {row.number for row in EXERCISES}
    assert numbers <= on_the_path
    assert {number for row in rows.values() for number in row.exercises} <= on_the_path & numbers
    assert rows[9].exercises == (15, 16)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_path_leads_to_every_notebook_itself(path):
    row = rf"^\| \[{int(path.name[:2])}\. [^]]+\]\(\.\./\.\./notebooks/{re.escape(path.name)}\)"
    assert re.search(row, PAGES[0].read_text(encoding="utf-8"), re.MULTILINE)


def test_a_notebook_leads_to_the_next():
    leads = {}
    for path in NOTEBOOKS:
        _, _, last_words = closing(path).partition("**Next:**")
        leads[int(path.name[:2])] = [int(number) for number in re.findall(r"\]\((\d\d)-[\w-]+\.ipynb\)", last_words)]
    assert [number for number, found in leads.items() if not found] == [18]
    seen, waiting = set(), [1]
    while waiting:
        number = waiting.pop()
        if number not in seen:
            seen.add(number)
            waiting += leads[number]
    assert seen == set(leads) - {14, 15, 16}  # kernels are a way in of their own, which joins the other at 8
    assert leads[16] == [8]
