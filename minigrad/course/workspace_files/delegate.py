"""The course is not part of a workspace: commands given here are passed on to the installed minigrad."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

HELP = "The course, as the installed minigrad has it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take everything as it comes."""
    parser.add_argument("words", nargs=argparse.REMAINDER)


def run(args: argparse.Namespace) -> int:
    """Run the installed course on this workspace."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    course = importlib.import_module("course")  # course.py in the workspace
    done = subprocess.run(course.command(*args.words), env=course.environment())
    return done.returncode
