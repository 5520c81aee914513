"""The proof that the checks can fail: nothing passes but right solutions, and known mistakes are called by name."""

from __future__ import annotations

import ast
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

from minigrad.course.checking import FAILED, PASSED, TO_DO, Examination, check_exercise, load_check
from minigrad.course.compare import difference
from minigrad.course.mutants import mutants_of, outcome
from minigrad.course.process import REFERENCE
from minigrad.course.proof import HEAD, Row, page, plant, proof, uproot
from minigrad.course.report import report
from minigrad.course.table import EXERCISES, Exercise, exercise
from minigrad.course.workspace import apply_solution, copy_packages, place, released

TABLE = Path(__file__).parents[2] / "docs" / "course" / "mutants.md"
each_exercise = pytest.mark.parametrize("row", EXERCISES, ids=lambda row: row.key)


@each_exercise
def test_the_empty_workspace_fails(row: Exercise, empty: Path) -> None:
    verdict = check_exercise(row, empty, mpi=False)
    assert verdict.status == TO_DO
    text = report(verdict)
    assert row.asks in text
    assert (empty / "exercises" / f"{row.key}_{row.name}.md").is_file()
    for path in row.paths:
        assert place(path).name.rpartition(".")[2] in text
    assert "Traceback" not in text
    # And not only because the empty body is seen: called, each function says which exercise it is.
    examined = Examination(row, empty, seed=0).verdict()
    assert examined.status == TO_DO
    assert f"exercise {row.number:02}: " in report(examined)


@each_exercise
def test_the_reference_passes_in_time(row: Exercise, solved: Path) -> None:
    for seed in (0, 1):
        verdict = check_exercise(row, solved, seed=seed, mpi=False)
        assert verdict.status == PASSED, report(verdict)
        assert verdict.seconds < row.seconds


@pytest.mark.usefixtures("compiler")
def test_the_reference_bodies_turn_the_exercises_green_in_order(empty: Path, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    shutil.copytree(empty, root)
    for row in EXERCISES:
        apply_solution(row, root)  # those before are solved, those after are empty
        verdict = check_exercise(row, root, mpi=False)
        assert verdict.status == PASSED, report(verdict)
        later = [other for other in EXERCISES if other.number > row.number]
        assert all(check_exercise(other, root, mpi=False).status == TO_DO for other in later)


@each_exercise
def test_an_exercise_needs_only_those_it_names(row: Exercise, empty: Path, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    shutil.copytree(empty, root)
    assert all(number < row.number for number in row.needs)
    for number in (*row.needs, row.number):
        apply_solution(exercise(number), root)
    verdict = check_exercise(row, root, mpi=False)
    assert verdict.status == PASSED, report(verdict)


@each_exercise
def test_texts_and_hints_are_there(row: Exercise) -> None:
    assert len(row.text) > 800
    assert row.text.startswith(f"# Exercise {row.number:02}: {row.title}\n")
    assert all(place(path).name.rpartition(".")[2] in row.text for path in row.paths)
    assert len(row.hints) == 3
    assert all(len(hint) > 60 for hint in row.hints)
    assert row.asks.endswith(".")


def test_numbers_and_names_are_unique_and_in_order() -> None:
    numbers = [row.number for row in EXERCISES]
    assert numbers == sorted(set(numbers))  # rising; a gap is an exercise still to come
    assert numbers[0] == 1
    assert len({row.name for row in EXERCISES}) == len(EXERCISES)
    paths = [path for row in EXERCISES for path in row.paths]
    assert len(set(paths)) == len(paths)


@cache
def proven(row: Exercise) -> list[Row]:
    """What the check says to each mutant of an exercise; asked once, and used for the table too."""
    return proof([row])


@each_exercise
def test_every_known_mistake_is_caught_and_nearly_all_are_named(row: Exercise) -> None:
    rows = proven(row)
    assert len(rows) >= 3
    for one in rows:
        assert one.killed, f"{one.mutant.name} passes"
        assert one.verdict.status == FAILED
        labels = [label for label, _ in one.verdict.lines]
        assert labels[:2] == ["called", "with"]
        assert labels[2] in ("got", "raised")
    assert sum(one.named for one in rows) >= 0.8 * len(rows)


@pytest.mark.usefixtures("compiler")
@pytest.mark.timeout(240)
def test_the_table_of_mistakes_is_up_to_date() -> None:
    rows = [one for row in EXERCISES for one in proven(row)]
    assert TABLE.read_text() == page(rows), "docs/course/mutants.md is old: python -m minigrad.course.proof makes it"
    assert TABLE.read_text().startswith(HEAD)


@each_exercise
def test_no_mutant_is_the_reference_under_another_name(row: Exercise) -> None:
    for mutant in mutants_of(row):
        assert len(mutant.mistake) > 20
        text = mutant.file.read_text()
        asked = {place(path).name.rpartition(".")[2] for path in row.paths}
        if row.is_cuda:
            names = set(re.findall(r"void (\w+)\(", text))
        else:
            names = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
        assert names & asked


@pytest.mark.parametrize(
    "row", [row for row in EXERCISES if hasattr(load_check(row), "numeric")], ids=lambda row: row.key
)
def test_the_reference_agrees_with_the_numeric_answer(row: Exercise) -> None:
    """Central differences and plain loops, which share no line with the reference; row `grad` of the tolerances."""
    check = load_check(row)
    compared = 0
    for case in check.CASES:
        numeric, (value, raised) = check.numeric(case), outcome(check, case)
        if numeric is None or raised is not None or case.get("dtype") == "float32" or case.get("scale", 1.0) > 1.0:
            continue
        for name, expected in numeric.items():
            got = value[name]
            pair = (got[0], expected[0]) if isinstance(expected, tuple) else (got, expected)
            error = abs(pair[0] - pair[1]).max(initial=0.0) if getattr(pair[1], "ndim", 0) else abs(pair[0] - pair[1])
            assert error < 1e-6, (case, name)
            compared += 1
    assert compared >= 3


def test_the_search_finds_what_the_fixed_cases_miss(written: object) -> None:
    """A function that is wrong only where an operand of three axes was stretched."""
    text = """
def unbroadcast(grad, shape):
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    stretched = [i + added for i, n in enumerate(shape) if n == 1 and grad.shape[i + added] != 1]
    out = grad.sum(axis=(*range(added), *stretched)).reshape(shape)
    return out * 2 if len(shape) == 3 and not added else out
"""
    root = written(2, text)  # type: ignore[operator]
    verdict = check_exercise(exercise(2), root, mpi=False)
    assert verdict.status == FAILED, report(verdict)
    assert "unbroadcast(grad, shape=(1, 1, 1)), grad an array of shape (1, 1, 2)" in report(verdict)


def test_the_failing_case_is_the_smallest() -> None:
    """One wrong element in rows of three and more is shown on a row of three."""
    verdict = next(row.verdict for row in proof([exercise(3)]) if row.mutant.name == "softmax_sum_over_everything")
    assert "shape (2, 2)" in report(verdict) or "shape (1, 2)" in report(verdict) or "shape (2, 1)" in report(verdict)
    got = dict(verdict.lines)["got"]
    assert "expected" in got
    assert "numerically" in got


def test_without_hypothesis_the_fixed_cases_are_used_and_that_is_said(
    solved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "hypothesis"]:
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
    monkeypatch.setattr("minigrad.course.checking.hypothesis_is_there", lambda: False)
    verdict = check_exercise(exercise(2), solved, mpi=False)
    assert verdict.status == PASSED
    assert "fixed cases only" in report(verdict)


def test_the_released_text_names_the_exercise() -> None:
    text = released("parallel/collectives/ring.py")
    assert 'raise NotImplementedError("exercise 06: ring_all_reduce")' in text
    assert "def chunk(" in text
    assert (REFERENCE / "parallel/collectives/ring.py").read_text() != text


def test_compare_is_not_blind() -> None:
    """The reference's outputs differ from case to case: a check that compares nothing would pass this far too."""
    check = load_check(exercise(4))
    one, other = outcome(check, check.CASES[0])[0], outcome(check, check.CASES[1])[0]
    assert difference(one, other) is not None


def test_a_mutant_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    """One copy of the reference serves them all: a function left behind would be caught in another mutant's name."""
    copy_packages(tmp_path)
    for row in EXERCISES:
        for mutant in mutants_of(row):
            plant(row, mutant, tmp_path)
            assert not same_as_reference(row, tmp_path), mutant.name
            uproot(row, tmp_path)
            assert same_as_reference(row, tmp_path), mutant.name


def same_as_reference(row: Exercise, root: Path) -> bool:
    files = {place(path)[0] for path in row.paths}
    return all((root / file).read_bytes() == (REFERENCE / file).read_bytes() for file in files)
