"""The path through the course leaves nothing out: notebooks, what they need, their times, and all exercises."""

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
def rows():
    """The rows of the index, as the map reads them."""
    sys.path.insert(0, str(ROOT / "docs" / "figures"))
    try:
        import course

        return {row.number: row for row in course.notebooks()}
    finally:
        sys.path.remove(str(ROOT / "docs" / "figures"))
        sys.modules.pop("course", None)
        sys.modules.pop("drawing", None)


def opening(path: Path) -> str:
    """A notebook's first cell."""
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])


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
    assert f"({path.name})" in PAGES[1].read_text(encoding="utf-8")


def test_a_notebook_needs_only_what_there_is(rows):
    for row in rows.values():
        assert set(row.needs) <= set(rows), row
        assert row.number not in row.needs


def test_every_exercise_belongs_to_a_notebook_or_to_the_path(rows):
    text = PAGES[0].read_text(encoding="utf-8")
    cells = " ".join(line.split("|")[3] for line in text.splitlines() if line.startswith("| ["))
    on_the_path = {int(digits) for digits in re.findall(r"\b\d\d\b", cells)}
    numbers = {row.number for row in EXERCISES}
    assert numbers <= on_the_path
    assert {number for row in rows.values() for number in row.exercises} <= on_the_path & numbers
    assert rows[9].exercises == (15, 16)


def test_the_notebooks_of_the_path_are_there():
    linked = set(re.findall(r"notebooks/(\d\d-[\w-]+\.ipynb)", PAGES[0].read_text(encoding="utf-8")))
    assert len(linked) >= 14
    assert linked <= {path.name for path in NOTEBOOKS}
