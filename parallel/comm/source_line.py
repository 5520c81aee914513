"""Which line of the program led to a call: noted in a fraction of a microsecond, put into words only for a report."""

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

COMM_FOLDER = str(Path(__file__).parent)
PACKAGE_FOLDER = str(Path(__file__).parent.parent)

# Code, position in it, code, position, ...: from the innermost function outside this folder out to the program's own.
# One flat tuple, since a simulation may keep a million of them.
CallSite = tuple[Any, ...]


def call_site(frame: FrameType | None) -> CallSite:
    """What must be kept of a frame to name its line later; the frame itself would keep its variables alive.

    Args:
        frame: The innermost frame, for example of a greenlet that waits.
    """
    site: list[Any] = []
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(COMM_FOLDER):
            site += (code, frame.f_lasti)
            if not code.co_filename.startswith(PACKAGE_FOLDER):
                break
        frame = frame.f_back
    return tuple(site)


def line_of(site: CallSite) -> str:
    """The line of the program, and the line of our collective if the call was made in one.

    Returns:
        For example "prog.py:12", or "prog.py:12, in ring.py:40".
    """
    if not site:
        return "unknown line"
    inner, outer = _line(*site[:2]), _line(*site[-2:])
    if site[-2].co_filename.startswith(PACKAGE_FOLDER):  # nobody of a program has called us
        return inner
    return outer if len(site) == 2 else f"{outer}, in {inner}"


def _line(code: CodeType, position: int) -> str:
    start = next((line for first, last, line in code.co_lines() if first <= position < last and line), None)
    return f"{_file_name(code.co_filename)}:{start or code.co_firstlineno}"


def _file_name(path: str) -> str:
    """The name of the file without its folders; of a notebook's cell, whose file has a number for a name, "In[3]"."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cell = shell.compile.format_code_name(path) if shell is not None else None
    return str(cell[1]) if cell is not None else Path(path).name


def where(frame: FrameType | None) -> str:
    """The line of the program that led to `frame`: see `line_of`."""
    return line_of(call_site(frame))


def here() -> str:
    """The line of the program that is running now."""
    return where(sys._getframe(1))
