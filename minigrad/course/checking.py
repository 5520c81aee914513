"""Check one exercise: is the function there, does it do what the reference does, and if not, what went wrong.

The student's code runs in a process of its own (process.py); this one holds the reference, makes the cases, and
compares. Hypothesis looks for more cases and shrinks the failing one; without it the fixed cases have to do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from minigrad.course import emulated
from minigrad.course.compare import Difference, describe, difference, number
from minigrad.course.mutants import Mutant, diagnose, outcome, viewed
from minigrad.course.process import Answer, Ended, Raised, StudentProcess
from minigrad.course.source import MissingFunctionError
from minigrad.course.table import Exercise
from minigrad.course.worker import load
from minigrad.course.workspace import language, place

SEARCHED = 60  # cases that Hypothesis makes of each function
PATIENCE = 3.0  # s for one case
EXPLAINING = 3.0  # s for making a failing case smaller, and again for telling which mistake it is
PASSED, FAILED, TO_DO, BLOCKED = "passed", "failed", "to do", "blocked"


@dataclass
class Verdict:
    """What a check found.

    Args:
        exercise: what was checked.
        status: "passed", "failed", "to do" (nothing written yet) or "blocked" (this machine cannot check it).
        lines: what to tell, as (label, text).
        mistake: the known mistake it was taken for, if any.
        seconds: how long it took.
    """

    exercise: Exercise
    status: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    mistake: Mutant | None = None
    seconds: float = 0.0


class Failure(NamedTuple):
    """A case with a wrong answer: the difference, or why there is no answer."""

    case: dict[str, Any]
    answer: Answer
    difference: Difference | None


def check_exercise(exercise: Exercise, root: Path, seed: int = 0, mpi: bool = True) -> Verdict:
    """Check the exercise on the packages below `root`.

    Args:
        exercise: what to check.
        root: a folder with the packages minigrad and parallel.
        seed: of the search for more cases.
        mpi: whether to run the parallel exercises under mpirun too.

    Returns:
        The verdict; nothing a student's file does raises here.
    """
    start = time.perf_counter()
    verdict = unreadable(exercise, root) or Examination(exercise, root, seed).verdict()
    if verdict.status == PASSED and mpi and exercise.mpi_ranks:
        from minigrad.course.mpi_check import check_under_mpirun

        verdict = check_under_mpirun(exercise, root)
    verdict.seconds = time.perf_counter() - start
    return verdict


def load_check(exercise: Exercise) -> ModuleType:
    """The exercise's check.py, as a module that sees the reference."""
    return load(f"_check_{exercise.key}", exercise.folder / "check.py")


def unreadable(exercise: Exercise, root: Path) -> Verdict | None:
    """The verdict that needs no run: a file that is gone or is no Python, a function that is gone or empty."""
    to_do = []
    for path in exercise.paths:
        file, name = place(path)
        again = f"`minigrad course reset {exercise.number:02}` brings it back, and keeps a copy of what is there"
        try:
            text = (root / file).read_text(encoding="utf-8")
            if language(file).is_hollow(text, name):
                to_do.append(f"{name} ({file}, line {language(file).line_of(text, name)})")
        except SyntaxError as error:
            line = f"{file}, line {error.lineno}: {(error.text or '').strip()}"
            return Verdict(exercise, FAILED, [("not Python", line), ("because", str(error.msg))])
        except MissingFunctionError:
            return Verdict(exercise, FAILED, [("missing", f"{file} has no function {name}"), ("way out", again)])
        except FileNotFoundError:
            return Verdict(exercise, FAILED, [("missing", f"the file {file} is not there"), ("way out", again)])
        except (OSError, ValueError) as error:
            return Verdict(exercise, FAILED, [("unreadable", f"{file}: {error}"), ("way out", again)])
    if len(to_do) < len(exercise.paths):
        return None
    lines = [("to do", to_do[0]), *(("", more) for more in to_do[1:])]
    lines += [("asked", exercise.asks), ("read", f"exercises/{exercise.key}_{exercise.name}.md")]
    return Verdict(exercise, TO_DO, lines)


class Examination:
    """One check of one exercise, from the first case to the verdict."""

    def __init__(self, exercise: Exercise, root: Path, seed: int) -> None:
        self.exercise, self.root, self.seed = exercise, root.resolve(), seed
        self.check = load_check(exercise)
        self.deadline = 0.0
        self.unwritten: dict[str, Failure] = {}  # functions that still raise NotImplementedError
        self.lost: Failure | None = None  # a case in which the process ended: shrinking it would end many

    def verdict(self) -> Verdict:
        """Try the fixed cases, search for more, and explain the smallest failure."""
        try:
            with self.started() as self.process:
                failure = self.first_failure()
                if failure is None:
                    return self.passed()
                if is_unwritten(failure.answer):
                    return self.begun()
                return self.explained(failure if isinstance(failure.answer.problem, Ended) else self.shrunk(failure))
        except emulated.NoCompilerError as error:
            return Verdict(self.exercise, BLOCKED, [("not checked", str(error))])
        except emulated.CompilerError as error:
            first, *more = str(error).splitlines()
            return Verdict(self.exercise, FAILED, [("compiler", first), *(("", line) for line in more)])

    def started(self) -> StudentProcess | emulated.EmulatedProcess:
        """The process that will be asked."""
        if self.exercise.is_cuda:
            return emulated.EmulatedProcess(self.exercise, self.root, self.check)
        files = {place(path).file for path in self.exercise.paths}
        return StudentProcess(self.root, self.exercise.folder / "check.py", PATIENCE, files)

    def first_failure(self) -> Failure | None:
        """The first wrong answer to the fixed cases, then to those that are searched for."""
        self.deadline = time.perf_counter() + self.exercise.seconds
        for case in self.check.CASES:
            if case["function"] in self.unwritten:
                continue
            failure = self.failure_in(case)
            if failure is not None and is_unwritten(failure.answer):
                self.unwritten[case["function"]] = failure
            elif failure is not None:
                return failure
        for function in self.functions():
            if function not in self.unwritten and (failure := self.search(function)):
                return failure
        return next(iter(self.unwritten.values()), None)

    def functions(self) -> list[str]:
        """What the cases call, in their order."""
        return list(dict.fromkeys(case["function"] for case in self.check.CASES))

    def failure_in(self, case: dict[str, Any]) -> Failure | None:
        """Ask the student's process, and compare with the reference."""
        if time.perf_counter() > self.deadline:
            late = Ended(f"was not done with all cases after {self.exercise.seconds:g} s")
            return Failure(case, Answer(problem=late), None)
        answer = self.process.ask(case)
        expected, raises = outcome(self.check, case)
        if answer.problem is not None:
            same = isinstance(answer.problem, Raised) and answer.problem.type == raises
            return None if same else Failure(case, answer, None)
        if raises is not None:
            wrong = Difference("", describe(answer.value), f"{raises}, as the docstring says")
            return Failure(case, answer, wrong)
        views = viewed(self.check, case, answer.value), viewed(self.check, case, expected)
        wrong_place = difference(*views)
        return Failure(case, answer, wrong_place) if wrong_place is not None else None

    def shrunk(self, failure: Failure) -> Failure:
        """The smallest failing case of the same function that is found; at worst the one at hand."""
        if self.exercise.is_cuda:  # the fixed cases are small, and each more is a process
            return failure
        self.deadline = time.perf_counter() + EXPLAINING
        found = self.search(failure.case["function"])
        return found if found is not None and not isinstance(found.answer.problem, Ended) else failure

    def search(self, function: str) -> Failure | None:
        """Let Hypothesis look for a case that fails, and shrink it; None if it finds none, or is not installed."""
        try:
            from hypothesis import HealthCheck, Phase, Verbosity, find, settings
            from hypothesis import strategies as st
            from hypothesis.errors import HypothesisException, NoSuchExample
        except ImportError:
            return None
        strategy = self.check.strategies(st).get(function)
        if strategy is None:
            return None
        options = settings(
            max_examples=getattr(self.check, "SEARCHED", SEARCHED), database=None, deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
        )  # fmt: skip
        self.lost = None
        try:
            case = find(strategy, self.fails, settings=options, random=random.Random(self.seed))
        except NoSuchExample:
            return self.lost
        except HypothesisException:  # the function gives now this, now that
            return self.lost
        self.deadline += PATIENCE  # the case is known to fail; what is wrong with it must still be asked
        return self.failure_in(case)

    def fails(self, case: dict[str, Any]) -> bool:
        """For Hypothesis: whether a case fails. One that ends the process also ends the search."""
        if self.lost is not None:
            return False
        failure = self.failure_in(case)
        if failure is not None and isinstance(failure.answer.problem, Ended):
            self.lost = failure
            return False
        return failure is not None

    def passed(self) -> Verdict:
        """All answers were right: but were they given by the student's files?"""
        if foreign := self.process.foreign_modules():
            lines = [("not yours", f"{foreign[0]} was not imported from {self.root}"), ("", "the answers do not count")]
            return Verdict(self.exercise, FAILED, lines)
        verdict = Verdict(self.exercise, PASSED)
        if self.exercise.budget:
            verdict.lines.append(("within", self.exercise.budget))
        if isinstance(self.process, emulated.EmulatedProcess) and not self.process.built[0].watched:
            verdict.lines.append(("checked on", "numbers only: the compiler has no AddressSanitizer (libasan)"))
        if not hypothesis_is_there():
            verdict.lines.append(("checked on", "fixed cases only; pip install hypothesis searches for more"))
        return verdict

    def begun(self) -> Verdict:
        """Some functions are written and right, others are not written yet."""
        right = [function for function in self.functions() if function not in self.unwritten]
        problems = [failure.answer.problem for failure in self.unwritten.values()]
        left = list(dict.fromkeys(f"{one.message} ({one.where})" for one in problems if isinstance(one, Raised)))
        lines = [("right", ", ".join(right))] if right else []
        lines += [("still to do", left[0]), *(("", line) for line in left[1:])]
        return Verdict(self.exercise, TO_DO, lines)

    def explained(self, failure: Failure) -> Verdict:
        """The four lines: what was called, with what, what came back, and which mistake that looks like."""
        case, (value, problem), wrong = failure
        lines = [("called", self.check.call(case)), ("with", self.check.inputs(case))]
        if problem is not None:
            lines += list(problem_lines(problem))
        if wrong is not None:
            lines.append(("got", self.got_line(case, value, wrong)))
        mistake = self.mistake(failure) if not isinstance(problem, Ended) else None
        lines += self.advice(mistake)
        if printed := self.process.printed():
            lines.append(("it printed", printed.splitlines()[-1][:200]))
        return Verdict(self.exercise, FAILED, lines, mistake)

    def got_line(self, case: dict[str, Any], value: Any, wrong: Difference) -> str:
        """Got against expected at the worst place, and the numeric derivative beside them."""
        place = f"{wrong.place} = " if wrong.place else ""
        line = f"{place}{wrong.got}, expected {wrong.expected}"
        beside = self.numeric_value(case, wrong)
        return f"{line} (numerically {beside})" if beside else line

    def numeric_value(self, case: dict[str, Any], wrong: Difference) -> str:
        """The numeric answer at the worst place, if the check can compute one."""
        found = self.check.numeric(case) if hasattr(self.check, "numeric") and wrong.at is not None else None
        name = wrong.place.partition("[")[0]
        if not isinstance(found, dict) or name not in found:
            return ""
        array = found[name][0] if isinstance(found[name], tuple) else found[name]
        return number(array[wrong.at])

    def mistake(self, failure: Failure) -> Mutant | None:
        """The known mistake with these answers: to the smallest case, and to the fixed ones of that function."""
        function = failure.case["function"]
        deadline = time.perf_counter() + EXPLAINING * (4 if self.exercise.is_cuda else 1)
        answers = []
        for case in [case for case in self.check.CASES if case["function"] == function] + [failure.case]:
            if time.perf_counter() > deadline and case is not failure.case:
                continue
            value, problem = self.process.ask(case) if case is not failure.case else failure.answer
            if isinstance(problem, Ended):
                return None
            answers.append((case, (value, problem.type if problem is not None else None)))
        return diagnose(self.exercise, self.check, answers)

    def advice(self, mistake: Mutant | None) -> list[tuple[str, str]]:
        """The last line: the mistake's name, or where to get help."""
        if mistake is not None:
            return [("looks like", mistake.mistake)]
        return [("help", f"`minigrad course hint {self.exercise.number:02}`; no known mistake gives these answers")]


def is_unwritten(answer: Answer) -> bool:
    """Whether the answer is that of a function still to be written."""
    return isinstance(answer.problem, Raised) and answer.problem.type == "NotImplementedError"


def problem_lines(problem: Raised | Ended) -> Iterator[tuple[str, str]]:
    """Why there is no answer, in words."""
    where = f" ({problem.where})" if problem.where else ""
    if isinstance(problem, Ended):
        yield "it", f"{problem.how}{', at ' + problem.where if problem.where else ''}"
        return
    first, *rest = problem.message.splitlines() or [""]
    yield "raised", f"{problem.type}: {first}{where}"
    for line in rest[:12]:
        yield "", line


def hypothesis_is_there() -> bool:
    """Whether cases can be searched for."""
    from importlib.util import find_spec

    return find_spec("hypothesis") is not None
