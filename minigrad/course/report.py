"""Verdicts as text: for a person, and in the form that graders read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad.course.checking import PASSED, Verdict

MARKS = {"passed": "✓", "failed": "✗", "to do": "·", "blocked": "–"}
LABEL = 11  # width of the first column


def report(verdict: Verdict) -> str:
    """A verdict in a few lines: the exercise and its status, then what is to be told."""
    exercise = verdict.exercise
    head = f"{MARKS[verdict.status]} exercise {exercise.number:02}: {exercise.title}"
    lines = [f"{head:<66} {verdict.status.upper() if verdict.status == 'failed' else verdict.status}"]
    lines += [f"  {label:<{LABEL}} {clean(text)}" for label, text in verdict.lines]
    return "\n".join(lines)


def clean(text: str) -> str:
    """Text without control characters: what student code wrote must not drive a teacher's terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def summary(verdicts: Iterable[Verdict]) -> str:
    """Such as `5 of 7 passed`."""
    found = list(verdicts)
    return f"{sum(verdict.status == PASSED for verdict in found)} of {len(found)} passed"


def gradescope(verdicts: Iterable[Verdict], gave_up: Iterable[str], seconds: float, seed: int) -> dict[str, Any]:
    """The results in Gradescope's format (results.json).

    Args:
        verdicts: one for each exercise.
        gave_up: keys of exercises whose solution was shown before they passed.
        seconds: how long grading took.
        seed: of the search for cases, so that a result can be had again.
    """
    given_up = set(gave_up)
    tests = [_gradescope_test(verdict, verdict.exercise.key in given_up) for verdict in verdicts]
    return {
        "score": sum(test["score"] for test in tests),
        "execution_time": round(seconds, 3),
        "output": f"seed {seed}",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }


def _gradescope_test(verdict: Verdict, gave_up: bool) -> dict[str, Any]:
    exercise = verdict.exercise
    text = report(verdict)
    if gave_up:
        text += "\nThe solution was shown before this exercise had passed."
    return {
        "number": f"{exercise.number:02}",
        "name": exercise.title,
        "score": exercise.points if verdict.status == PASSED else 0.0,
        "max_score": exercise.points,
        "status": "passed" if verdict.status == PASSED else "failed",
        "output": text,
        "output_format": "text",
        "tags": [exercise.key, verdict.status.replace(" ", "-"), *(["gave-up"] if gave_up else [])],
        "visibility": "visible",
        "extra_data": {
            "seconds": round(verdict.seconds, 3),
            "mistake": verdict.mistake.name if verdict.mistake is not None else None,
        },
    }
