"""`minigrad course`: make a workspace, check it, get help, see a picture, grade."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigrad.course.checking import Verdict
    from minigrad.course.table import Exercise
    from minigrad.course.workspace import Workspace

HELP = """\
Learn by writing minigrad yourself: its functions, emptied, with checks that say what is wrong.

  start DIR          make a workspace: both packages with some functions empty
  watch [EX]         check again each time a file is saved
  check [EX ...]     check some exercises, or all
  hint EX            a hint; again for the next of three
  show EX            draw your own code at work
  solution EX        how we wrote it, once yours passes (or with --give-up)
  status             where you stand
  reset EX           the empty functions again; a copy of yours is kept
  grade DIR          grade a workspace, each exercise alone
"""
EXAMPLES = """\
examples:
  minigrad course start ws && cd ws && minigrad course watch
  minigrad course hint 02
  minigrad course grade handed-in/alice --json results.json

Exercises are called by number (2, 02, ex02) or by name (broadcasting).
"""
ONE = ("hint", "show", "solution", "reset")  # these want exactly one exercise
ACTIONS = ("start", "watch", "check", *ONE, "status", "grade")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    parser.usage = "minigrad course ACTION [EX or DIR] [options]"
    parser.epilog = EXAMPLES
    parser.add_argument("action", choices=ACTIONS, metavar="ACTION", help="one of the above")
    parser.add_argument("what", nargs="*", default=[], metavar="EX", help="exercises, or the folder to start or grade")
    parser.add_argument("--dir", default=".", metavar="DIR", help="the workspace (default: this folder)")
    parser.add_argument("--give-up", action="store_true", help="solution: show it although yours fails; noted down")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="grade: Gradescope's format, to FILE or -")
    parser.add_argument("--seed", type=int, metavar="N", help="grade: of the search for cases (default: a new one)")
    parser.add_argument("--no-mpi", action="store_true", help="check, grade: leave out mpirun")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `minigrad course` without the command in front of it."""
    from minigrad.cli import BAD_INPUT, Parser

    parser = Parser("minigrad course", HELP)
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"minigrad course: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return 130


def run(args: argparse.Namespace) -> int:
    """Do what is asked.

    Returns:
        0; 1 when `check` found something that does not pass.

    Raises:
        ValueError: an unknown exercise, a folder that is no workspace or not empty.
        OSError: a file that cannot be read or written.
    """
    actions = {
        "start": start, "watch": watch, "check": check, "hint": hint, "show": show, "solution": solution,
        "status": status, "reset": reset, "grade": grade,
    }  # fmt: skip
    if args.action in ONE and len(args.what) != 1:
        raise ValueError(f"{args.action} needs one exercise, as in: minigrad course {args.action} 02")
    if args.action in ("start", "grade") and len(args.what) != 1:
        raise ValueError(f"{args.action} needs one folder, as in: minigrad course {args.action} ws")
    return actions[args.action](args)


def opened(args: argparse.Namespace) -> Workspace:
    """The workspace that --dir, or the current folder or one above it, is."""
    from minigrad.course.workspace import STATE, Workspace

    root = Path(args.dir).absolute()
    above = [folder for folder in (root, *root.parents) if (folder / STATE).is_file()]
    return Workspace(above[0] if above and args.dir == "." else root)


def asked(args: argparse.Namespace) -> list[Exercise]:
    """The exercises that were named, or all."""
    from minigrad.course.table import EXERCISES, exercise

    return [exercise(name) for name in args.what] or list(EXERCISES)


def start(args: argparse.Namespace) -> int:
    """Make a workspace."""
    from minigrad.course.workspace import start as make

    workspace = make(Path(args.what[0]))
    shown = os.path.relpath(workspace.root) if workspace.root.is_relative_to(Path.cwd()) else workspace.root
    print(f"made {shown}. Next:\n\n  cd {shown}\n  minigrad course watch\n")
    print("and open exercises/ex01_chain_rule.md beside it. README.md tells the rest.")
    return 0


def check(args: argparse.Namespace) -> int:
    """Check exercises, one after the other."""
    from minigrad.course.checking import PASSED, check_exercise
    from minigrad.course.report import summary

    workspace, verdicts = opened(args), []
    for exercise in asked(args):
        verdict = check_exercise(exercise, workspace.root, mpi=not args.no_mpi)
        verdicts.append(verdict)
        tell(workspace, verdict)
    if len(verdicts) > 1:
        print(summary(verdicts))
    return 0 if all(verdict.status == PASSED for verdict in verdicts) else 1


def tell(workspace: Workspace, verdict: Verdict) -> None:
    """Print a verdict and remember it."""
    from minigrad.course.checking import PASSED
    from minigrad.course.report import report

    print(report(verdict))
    shaky = [
        n for n in verdict.exercise.needs if workspace.state["exercises"].get(f"ex{n:02}", {}).get("status") != PASSED
    ]
    if shaky and verdict.status != PASSED:
        print(f"  {'stands on':<11} exercise {', '.join(f'{n:02}' for n in shaky)}, which has not passed yet")
    print(flush=True)
    note = workspace.note(verdict.exercise)
    note |= {"status": verdict.status, "digest": workspace.digest(verdict.exercise)}
    workspace.save()


def watch(args: argparse.Namespace) -> int:
    """Check again on every save, until Ctrl-C."""
    from minigrad.course.table import exercise
    from minigrad.course.watching import watch as keep_watching

    workspace = opened(args)
    if len(args.what) > 1:
        raise ValueError("watch follows one exercise, or without a number the first that has not passed")
    print("watching; save a file to check it, Ctrl-C ends\n", flush=True)
    try:
        keep_watching(
            workspace, lambda verdict: tell(workspace, verdict), exercise(args.what[0]) if args.what else None
        )
    except KeyboardInterrupt:
        print()
    return 0


def hint(args: argparse.Namespace) -> int:
    """Print the next hint, after those already given."""
    workspace, (exercise,) = opened(args), asked(args)
    note = workspace.note(exercise)
    level = min(len(exercise.hints), int(note.get("hints", 0)) + 1)
    for number, text in enumerate(exercise.hints[:level], start=1):
        print(f"hint {number} of {len(exercise.hints)}: {text}\n")
    note["hints"] = level
    workspace.save()
    if level < len(exercise.hints):
        print(f"`minigrad course hint {exercise.number:02}` again says more")
    return 0


def show(args: argparse.Namespace) -> int:
    """Draw the student's code at work."""
    from minigrad.course.showing import show as draw

    workspace, (exercise,) = opened(args), asked(args)
    path = draw(exercise, workspace.root, workspace.root / "pictures" / f"{exercise.key}.png")
    print(f"wrote {os.path.relpath(path)}")
    return 0


def solution(args: argparse.Namespace) -> int:
    """Print how we wrote it, if theirs passes or they give up."""
    from minigrad.course.checking import PASSED, check_exercise
    from minigrad.course.workspace import solution as ours

    workspace, (exercise,) = opened(args), asked(args)
    if check_exercise(exercise, workspace.root, mpi=False).status != PASSED:
        if not args.give_up:
            raise ValueError(
                f"exercise {exercise.number:02} does not pass yet: `minigrad course hint {exercise.number:02}` helps, "
                "and --give-up shows the solution and notes that it did"
            )
        workspace.note(exercise)["gave_up"] = True
        workspace.save()
    for where, text in ours(exercise):
        print(f"# {where}\n{text}")
    return 0


def status(args: argparse.Namespace) -> int:
    """List the exercises and what the last checks found."""
    from minigrad.course.checking import PASSED
    from minigrad.course.report import MARKS
    from minigrad.course.table import EXERCISES

    workspace = opened(args)
    for exercise in EXERCISES:
        note = workspace.note(exercise)
        found = str(note.get("status", "not checked yet"))
        if "digest" in note and note["digest"] != workspace.digest(exercise):
            found += ", changed since"
        extras = [f"{note['hints']} hints"] if note.get("hints") else []
        extras += ["solution shown"] if note.get("gave_up") else []
        mark = MARKS.get(str(note.get("status")), " ")
        print(f"{mark} {exercise.number:02} {exercise.title:<46} {', '.join([found, *extras])}")
    passed = sum(workspace.note(exercise).get("status") == PASSED for exercise in EXERCISES)
    print(f"\n{passed} of {len(EXERCISES)} passed")
    return 0


def reset(args: argparse.Namespace) -> int:
    """Empty an exercise's functions again."""
    workspace, (exercise,) = opened(args), asked(args)
    backup = workspace.reset(exercise)
    workspace.note(exercise).pop("status", None)
    workspace.save()
    print(f"exercise {exercise.number:02} is empty again; your files as they were are in {os.path.relpath(backup)}")
    return 0


def grade(args: argparse.Namespace) -> int:
    """Grade a workspace; the score is in the output, not in the exit status."""
    from minigrad.course.grading import grade as grade_all
    from minigrad.course.report import gradescope, report
    from minigrad.course.workspace import Workspace

    began = time.perf_counter()
    workspace = Workspace(Path(args.what[0]))
    each = None if args.json == "-" else lambda verdict: print(report(verdict) + "\n", flush=True)
    verdicts, seed = grade_all(workspace, args.seed, mpi=not args.no_mpi, each=each)
    gave_up = [verdict.exercise.key for verdict in verdicts if workspace.note(verdict.exercise).get("gave_up")]
    results = gradescope(verdicts, gave_up, time.perf_counter() - began, seed)
    if args.json == "-":
        print(json.dumps(results, indent=2))
        return 0
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"score {results['score']:g} of {sum(test['max_score'] for test in results['tests']):g}")
    return 0
