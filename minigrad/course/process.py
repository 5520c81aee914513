"""The checker's end of a student's process: start it, ask it, and say in words how it ended."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from minigrad.course import wire

MEMORY = 4 * 2**30  # bytes of address space; NumPy and its BLAS map about one of these GiB
START = 30.0  # s for Python and NumPy to start on a busy machine; not counted as the student's
LONGEST_REPLY = 64 * 2**20  # bytes
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
HERE = Path(__file__).resolve().parent
REFERENCE = HERE.parent.parent  # the folder that holds the reference's packages


class Raised(NamedTuple):
    """Student code raised an exception."""

    type: str
    message: str
    where: str  # "minigrad/ops/shape.py:81", or "" if it was raised elsewhere


class Ended(NamedTuple):
    """Student code did not answer: it took too long, or its process ended."""

    how: str
    where: str = ""


class Answer(NamedTuple):
    """What a case gave: `value` unless `problem` says why there is none."""

    value: Any = None
    problem: Raised | Ended | None = None


class StudentProcess:
    """A process in which student code runs; use it in a `with` block.

    Args:
        root: the folder that holds the student's packages.
        check: the file whose `run(case)` is called.
        seconds: how long one case may take.
        files: those that hold the asked functions, relative to the root: where to look for the line of an error.
    """

    def __init__(self, root: Path, check: Path, seconds: float = 5.0, files: Collection[str] = ()) -> None:
        self.files = files
        self.root, self.check, self.seconds = root.resolve(), check, seconds
        self._folder = tempfile.TemporaryDirectory(prefix="minigrad-check-")
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[bytes] = queue.Queue()
        self._waiting = False  # for the process to say that it has started

    def __enter__(self) -> StudentProcess:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._folder.cleanup()

    def ask(self, case: dict[str, Any]) -> Answer:
        """Run one case in the student's process, started again if the last case ended it."""
        if self._process is None:
            self._start()
        reply = self._ready() or self._exchange(case, self.seconds)
        if isinstance(reply, Ended):
            return Answer(problem=reply)
        if isinstance(reply, dict) and "returned" in reply:
            return Answer(value=reply["returned"])
        try:
            raised = reply["raised"]
            where = [str(place) for place in raised["where"]]
            # Better a line of the function that is asked than one of what it calls.
            own = [place for place in where if place.partition(":")[0] in self.files]
            innermost = (own or where or [""])[-1]
            return Answer(problem=Raised(str(raised["type"]), str(raised["message"]), innermost))
        except (KeyError, TypeError):
            return Answer(problem=Ended("wrote something of its own in the place of its answer"))

    def _ready(self) -> Ended | None:
        """Wait until Python and NumPy have started: that time is not the student's."""
        if self._waiting:
            self._waiting = False
            reply = self._next_reply(START)
            if isinstance(reply, Ended):
                return reply
        return None

    def foreign_modules(self) -> list[str]:
        """Names of modules that came from the reference, or of ours from anywhere but the student's files."""
        reply = self._exchange(None, START) if self._process is not None else None
        if not isinstance(reply, dict) or not isinstance(reply.get("modules"), list):
            return []
        return [name for name, file in reply["modules"] if not self._allowed(str(name), Path(str(file)))]

    def _allowed(self, name: str, file: Path) -> bool:
        if name.partition(".")[0] in ("minigrad", "parallel"):
            return file.resolve().is_relative_to(self.root)
        own = (HERE / "worker.py", HERE / "wire.py", self.check)
        inside = any(file.resolve().is_relative_to(REFERENCE / name) for name in ("minigrad", "parallel"))
        return file in own or not inside

    def printed(self) -> str:
        """What the student's code printed last, at most about a screen."""
        return self._tail()[-2000:].split("Timeout (")[0].strip()

    def _tail(self) -> str:
        """The end of what the process wrote to its standard output and error."""
        with self._errors.open("rb") as file:
            file.seek(max(0, self._errors.stat().st_size - 2**16))
            return file.read().decode(errors="replace")

    @property
    def _errors(self) -> Path:
        return Path(self._folder.name) / "printed"

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONSTARTUP"}
        environment |= dict.fromkeys(THREADS, "1")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                # -P: the folder it is started in is not on the path, so a numpy.py there is not NumPy.
                [sys.executable, "-P", "-u", str(HERE / "worker.py")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment,
                cwd=self._folder.name, start_new_session=True,
            )  # fmt: skip
        self._replies = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process, self._replies), daemon=True).start()
        self._waiting = True
        hidden = [str(REFERENCE / name) for name in ("minigrad", "parallel")]
        # The student's packages may lie below a folder of ours only in the checkout's own tests.
        self._send({
            "root": str(self.root), "check": str(self.check), "memory": MEMORY, "seconds": self.seconds,
            "hidden": hidden if self.root != REFERENCE else [],
        })  # fmt: skip

    @staticmethod
    def _listen(process: subprocess.Popen[bytes], replies: queue.Queue[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            while line := process.stdout.readline(LONGEST_REPLY):
                replies.put(line)
        replies.put(b"")

    def _send(self, message: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(wire.to_line(message))
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended, and `_exchange` will see no reply

    def _exchange(self, message: Any, seconds: float) -> Any:
        self._send(message)
        return self._next_reply(seconds)

    def _next_reply(self, seconds: float) -> Any:
        try:
            line = self._replies.get(timeout=seconds)
        except queue.Empty:
            self._stop()
            where = self._where_it_hung()
            return Ended(f"had not returned after {self.seconds:g} s", where)
        if not line:
            return self._explain_end()
        try:
            return wire.from_line(line)
        except ValueError:
            return Ended("wrote something of its own in the place of its answer")

    def _explain_end(self) -> Ended:
        assert self._process is not None
        code = self._process.wait()
        where = self._where_it_hung()
        self._stop()
        if code < 0:
            return Ended(f"crashed the process ({signal.Signals(-code).name})", where)
        return Ended(f"ended the process with exit status {code} instead of returning", where)

    def _where_it_hung(self) -> str:
        """The student's innermost line in the trace that the process left, which lists the innermost first."""
        for file, line in re.findall(r'File "(.+?)", line (\d+) in ', self._tail()):
            if Path(file).is_relative_to(self.root):
                return f"{Path(file).relative_to(self.root).as_posix()}:{line}"
        return ""

    def _stop(self) -> None:
        if self._process is None:
            return
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                pass
        try:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        except OSError:
            pass
        self._process.wait()
        self._process = None
