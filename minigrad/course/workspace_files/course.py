"""The course from inside a workspace: `from course import check; check("ex06")` in a notebook or in pytest.

The checks are not in this folder. They come with the installed minigrad, which is asked in a process of its own:
in this folder, `import minigrad` means your files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parent


def command(*arguments: str) -> list[str]:
    """What runs the installed minigrad: -P keeps this folder, and so your minigrad, off its path."""
    return [sys.executable, "-P", "-m", "minigrad.course", *arguments]


def environment() -> dict[str, str]:
    """The environment in which `minigrad` means the installed one."""
    state = json.loads((WORKSPACE / ".minigrad-course.json").read_text(encoding="utf-8"))
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    kept = [part for part in others if Path(part).resolve() != WORKSPACE]
    return os.environ | {"PYTHONPATH": os.pathsep.join([state["installed"], *kept])}


def check(exercise: str) -> bool:
    """Check one exercise, print what was found, and say whether it passed."""
    asked = command("check", exercise, "--dir", str(WORKSPACE))
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=120)
    print((done.stdout + done.stderr).rstrip())
    return done.returncode == 0
