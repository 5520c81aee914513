"""Check again whenever a file is saved.

It polls: a hundred files' times are read in a millisecond, and that works on every system and file system, network
drives and containers included, where notifications often do not arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from minigrad.course.checking import PASSED, Verdict, check_exercise
from minigrad.course.table import EXERCISES, Exercise
from minigrad.course.workspace import PACKAGES, Workspace, files_of

POLL = 0.1  # s between two looks


def stamps(root: Path) -> dict[Path, tuple[int, int]]:
    """Time and size of every Python and CUDA file of the packages."""
    found = {}
    for package in PACKAGES:
        for pattern in ("*.py", "*.cu", "*.h"):
            for path in (root / package).rglob(pattern):
                try:
                    status = path.stat()
                except OSError:  # an editor is just putting another file in its place
                    continue
                found[path] = status.st_mtime_ns, status.st_size
    return found


def changes(root: Path, poll: float = POLL) -> Iterator[set[str]]:
    """Yield the files that changed, appeared or went, each time there are some; for ever."""
    before = stamps(root)
    while True:
        time.sleep(poll)
        now = stamps(root)
        changed = {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)}
        if changed:
            yield {path.relative_to(root).as_posix() for path in changed}
            before = now


def affected(changed: set[str], current: Exercise | None) -> list[Exercise]:
    """The exercises to check again: those whose own files changed, else the one the student is at."""
    own = [exercise for exercise in EXERCISES if changed & set(files_of(exercise))]
    # Several exercises share kernels/naive_cpu.py. Those already passed are worth a look, later ones are not due yet.
    due = [exercise for exercise in own if current is None or exercise.number <= current.number]
    return due or own[:1] or ([current] if current is not None else [])


def current_exercise(workspace: Workspace) -> Exercise | None:
    """The first exercise that has not passed, or None."""
    return next((row for row in EXERCISES if workspace.note(row).get("status") != PASSED), None)


def watch(workspace: Workspace, tell: Callable[[Verdict], None], only: Exercise | None = None) -> None:
    """Check what is due, tell, and go on for ever.

    Args:
        workspace: the student's.
        tell: called with each verdict.
        only: the one exercise to check; None follows the student from one to the next.
    """
    warm_up()
    current = only or current_exercise(workspace)
    pending = [current] if current is not None else []
    saved = changes(workspace.root)
    while True:
        for exercise in pending:
            # The simulated half answers at once; the half under mpirun takes seconds and is left to `check`.
            tell(check_exercise(exercise, workspace.root, mpi=False))
        current = only or current_exercise(workspace)
        changed = next(saved)
        pending = [only] if only is not None else affected(changed, current)


def warm_up() -> None:
    """Import what every check needs before the first file is saved."""
    import parallel.comm.sim  # noqa: F401

    try:
        import hypothesis.strategies  # noqa: F401
    except ImportError:
        pass
