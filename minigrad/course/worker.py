"""The process in which a student's code runs: it takes cases, runs them, and says what came out.

It knows no expected answers and gives no verdict: the checker, in another process, compares. So there is nothing
here to print, patch or exit one's way past. Whatever goes wrong in student code becomes a reply, or the end of
this process, and both are the checker's to explain.

Run as a script, from its own file: of minigrad and parallel this process can import the student's files only.
"""

from __future__ import annotations

import faulthandler
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PACKAGES = ("minigrad", "parallel")
# Events by which a process starts another, loads foreign code or opens a connection; no exercise needs one.
REFUSED_EVENTS = (
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "ctypes.dlopen", "socket.connect", "socket.bind", "os.kill", "os.killpg",
)  # fmt: skip


class FreshLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source each time: a compiled file is taken for current if it is of the same second and size."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file."""
        return self.source_to_code(self.get_data(self.path), self.path)


class StudentFiles(importlib.abc.MetaPathFinder):
    """Finds minigrad and parallel below one folder, and nowhere else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The file of a module of ours below the root; None for all others."""
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        stem = self.root.joinpath(*fullname.split("."))
        for file, inside in ((stem / "__init__.py", [str(stem)]), (stem.with_suffix(".py"), None)):
            if file.is_file():
                loader = FreshLoader(fullname, str(file))
                return importlib.util.spec_from_file_location(
                    fullname, file, loader=loader, submodule_search_locations=inside
                )
        raise ModuleNotFoundError(f"No module named {fullname!r} in {self.root}", name=fullname)


def load(name: str, file: Path) -> ModuleType:
    """Import one file under a name, whatever folder it is in."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def limit_resources(memory: int) -> None:
    """Bound this process's memory and the size of a file it writes, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 2**20, 64 * 2**20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def refuse(hidden: Sequence[str]) -> None:
    """Refuse to read below the folders `hidden` (the reference and the checks) and to start other programs.

    This stops the quick ways around an exercise. It is no jail: where strangers' code is graded, the grader
    itself belongs in a container.
    """
    folders = tuple(os.path.join(os.path.realpath(folder), "") for folder in hidden) + ("/proc/",)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in REFUSED_EVENTS:
            raise PermissionError(f"code under check may not do this ({event})")
        reads = event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes)
        if reads and os.path.realpath(os.fsdecode(arguments[0])).startswith(folders):
            raise PermissionError("code under check may not read the reference or the checks")

    sys.addaudithook(hook)


def modules_by_file() -> list[tuple[str, str]]:
    """Name and file of every module of ours that is loaded, and of any other Python file."""
    loaded = [(name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())]
    return [(name, file) for name, file in loaded if isinstance(file, str)]


def answer(check: ModuleType, case: dict[str, Any], root: Path, seconds: float) -> dict[str, Any]:
    """Run one case, and say what it returned or raised."""
    try:
        with noting_where_it_hangs(seconds):
            return {"returned": check.run(case)}
    except BaseException as error:  # SystemExit and KeyboardInterrupt of student code too
        return {"raised": describe(error, root)}


@contextmanager
def noting_where_it_hangs(seconds: float) -> Iterator[None]:
    """Write the lines it is at to stderr just before the checker loses patience."""
    faulthandler.dump_traceback_later(0.9 * seconds, exit=False)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def describe(error: BaseException, root: Path) -> dict[str, Any]:
    """An exception as text: its type, message with notes, and the lines in the student's files, innermost last."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    inside = [(Path(file).relative_to(root), line) for file, line in places if Path(file).is_relative_to(root)]
    try:
        message = "\n".join([str(error), *getattr(error, "__notes__", [])])
    except Exception:
        message = ""
    return {
        "type": type(error).__name__,
        "message": message[:4000],
        "where": [f"{file.as_posix()}:{line}" for file, line in inside[-50:]],
    }


def main() -> None:
    """Take the settings, then cases, one a line, until the input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what student code prints must not come between the replies
    cases: io.BufferedReader = sys.stdin.buffer  # type: ignore[assignment]
    sys.dont_write_bytecode = True
    faulthandler.enable()
    wire = load("_wire", Path(__file__).with_name("wire.py"))
    settings = wire.from_line(cases.readline())
    root = Path(settings["root"])
    check = load("_check", Path(settings["check"]))
    limit_resources(settings["memory"])
    sys.meta_path.insert(0, StudentFiles(root))
    refuse(settings["hidden"])
    replies.write(wire.to_line("ready"))
    replies.flush()
    for line in cases:
        request = wire.from_line(line)
        asked = request is not None  # None asks what has been imported
        reply = answer(check, request, root, settings["seconds"]) if asked else {"modules": modules_by_file()}
        replies.write(wire.to_line(reply))
        replies.flush()


if __name__ == "__main__":
    main()
