"""Programs in files, for the simulated world: a function of a communicator, or an unchanged mpi4py script.

A script is compiled once and executed once for every rank, each time in a fresh namespace in which `__name__` is
"__main__". Wherever it says `from mpi4py import MPI` it is given our MPI, whose COMM_WORLD is the world of the rank
that asks. What the ranks of a real job have each for themselves and simulated ones share, since they are one process:
the modules that the script imports with what is stored in them, NumPy's global generator, the working folder.
"""

import ast
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

Program = Callable[..., Any]
OURS = (str(Path(__file__).parent), str(Path(__file__).parents[2] / "minigrad" / "commands"))
MISSING = object()
RUNNING_RANK: ContextVar[int | None] = ContextVar("running_rank", default=None)


@contextmanager
def program_in(
    path: str | Path, argv: Sequence[str] = (), function: str | None = None, facade: ModuleType | None = None
) -> Iterator[tuple[Program, tuple[Any, ...]]]:
    """The program that a file holds, for as long as the block runs.

    Args:
        path: A Python file. If it defines `program` (or `function`) that is the program, and the file is executed once
            as a module; else it is a script that uses mpi4py.
        argv: The program's arguments: text in a script's `sys.argv`, and for a function its arguments after the
            communicator, numbers as numbers.
        function: The name of the function; None for "program", if there is one.
        facade: What stands in for mpi4py.MPI; by default `parallel.comm.MPI`.

    Yields:
        The program and its arguments, as `simulate` takes them.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it has no such function, and does not use mpi4py either.
        SyntaxError: If it is no Python.
    """
    path = Path(path)
    source = path.read_bytes()
    tree = ast.parse(source, str(path))
    name = function or "program"
    defined = _defines(tree, name)
    if function and not defined:
        raise ValueError(f"{path} has no function {function!r} at its top level")
    if not defined and not _uses_mpi4py(tree):
        raise ValueError(f"{path} has neither a function program(comm, ...) nor an import of mpi4py")
    code = compile(source, str(path), "exec")
    with _as_if_started(path, argv), _standing_in(facade or import_module("parallel.comm.mpi")):
        if defined:
            yield getattr(_executed(code, path), name), tuple(map(_argument, argv))
        else:
            yield (lambda comm: _run_script(code, path)), ()


def _defines(tree: ast.Module, name: str) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)


def _uses_mpi4py(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.partition(".")[0] == "mpi4py" for name in names):
            return True
    return False


def _argument(text: str) -> Any:
    """A number where the text is one, else the text.

    >>> _argument("8"), _argument("1e-3"), _argument("ring")
    (8, 0.001, 'ring')
    """
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _executed(code: Any, path: Path) -> ModuleType:
    """The module of a file, registered, so that what it defines can be found by name."""
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    exec(code, module.__dict__)
    return module


def _run_script(code: Any, path: Path) -> None:
    namespace = {"__name__": "__main__", "__file__": str(path), "__builtins__": __builtins__, "__doc__": None}
    exec(code, namespace)


@contextmanager
def _as_if_started(path: Path, argv: Sequence[str]) -> Iterator[None]:
    """What `python path argv` would show the program: its arguments, and its own folder first on the path."""
    before = sys.argv[:], sys.path[:], sys.modules.get(path.stem, MISSING)
    sys.argv[:] = [str(path), *argv]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.argv[:], sys.path[:] = before[:2]
        _restore(path.stem, before[2])


@contextmanager
def _standing_in(facade: ModuleType) -> Iterator[None]:
    """Let every import of mpi4py find our MPI."""
    package = ModuleType("mpi4py")
    package.__path__ = []  # a package, so that `import mpi4py.MPI` works
    package.__version__ = "4.0.0"  # type: ignore[attr-defined]
    package.MPI = facade  # type: ignore[attr-defined]
    package.rc = ModuleType("mpi4py.rc")  # type: ignore[attr-defined]  # settings that nobody reads
    package.get_config = dict  # type: ignore[attr-defined]
    standing = {"mpi4py": package, "mpi4py.MPI": facade, "mpi4py.rc": package.rc}
    before = {name: sys.modules.get(name, MISSING) for name in standing}
    sys.modules.update(standing)
    try:
        yield
    finally:
        for name, module in before.items():
            _restore(name, module)


def _restore(name: str, module: Any) -> None:
    if module is MISSING:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def telling_rank(program: Program) -> Program:
    """The same program, whose prints `RankOutput` can tell apart."""

    def told(comm: Any, *args: Any) -> Any:
        RUNNING_RANK.set(comm.Get_rank())
        return program(comm, *args)

    return told


class RankOutput:
    """Stands in for sys.stdout and keeps the ranks' lines whole, each behind its rank's number.

    Args:
        stream: Where the lines go.
        size: Number of ranks.
        prefix: Whether to write the number.
    """

    encoding = "utf-8"

    def __init__(self, stream: TextIO, size: int, prefix: bool = True):
        self._stream = stream
        self._width = len(str(size - 1))
        self._prefix = prefix
        self._begun: dict[int | None, str] = {}  # lines that have no end yet, by rank

    def write(self, text: str) -> int:
        """Pass on what is complete, and keep the rest until its line ends."""
        rank = RUNNING_RANK.get()
        *lines, rest = (self._begun.get(rank, "") + text).split("\n")
        for line in lines:
            self._stream.write(f"{self._head(rank)}{line}\n")
        self._begun[rank] = rest
        return len(text)

    def flush(self) -> None:
        """Pass on; a line that has no end yet waits for it."""
        self._stream.flush()

    def isatty(self) -> bool:
        """No terminal: a progress bar of every rank would be none."""
        return False

    def finish(self) -> None:
        """Pass on the lines that never ended."""
        for rank, text in self._begun.items():
            if text:
                self._stream.write(f"{self._head(rank)}{text}\n")
        self._begun.clear()

    def _head(self, rank: int | None) -> str:
        return f"[{rank:>{self._width}}] " if self._prefix and rank is not None else ""


def program_traceback(error: BaseException) -> str:
    """The traceback of an exception that a rank raised, without the frames of the simulator.

    Args:
        error: As it left `simulate`, with the note that names the rank.
    """
    shown = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = shown
    while part is not None:
        kept = [frame for frame in part.stack if not frame.filename.startswith(OURS)]
        part.stack = traceback.StackSummary.from_list(kept)
        part = part.__cause__ or part.__context__
    return "".join(shown.format())
