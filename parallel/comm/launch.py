"""Start a program on n processes under the mpirun that fits, and end all of them when the job ends.

`launch(["program.py", "--steps", "10"], ranks=4)` does what `mpirun -n 4 python program.py --steps 10` does.
Beyond that it takes the mpirun of the very MPI that mpi4py loads, gives every rank its share of threads, lets
more ranks run than there are cores, shows a failing rank's traceback once and first, and leaves no process
behind, however the job ends. A plain mpirun works as well; nothing in a program depends on having been
started from here.
"""

from __future__ import annotations

import codecs
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from parallel.comm.job_errors import JobErrors
from parallel.comm.mpirun import MpiRuntime, find_runtime

TIMED_OUT = 124  # the exit status of coreutils' `timeout`
GRACE = 3.0  # seconds that a job has to end when asked, before it is killed
KILL_TIME = 1.0  # seconds that a killed process is given to disappear
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_PER_RANK = 64 * 2**20  # bytes; Open MPI maps 16 MiB for each rank, and we leave it room


class FinishedJob(subprocess.CompletedProcess[str]):
    """How a job ended: `args`, `returncode`, `stdout` and `stderr` (None unless captured), `timed_out`, `silent`."""

    timed_out = False
    silent = False  # nothing was written to stderr


def launch(
    argv: Sequence[str],
    ranks: int,
    *,
    threads: int = 1,
    timeout: float | None = None,
    hostfile: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    capture: bool = False,
) -> FinishedJob:
    """Run a program on `ranks` processes and wait for its end.

    Args:
        argv: the program and its arguments. `["program.py", ...]`, `["-m", "module", ...]` and
            `["-c", "code"]` run under this Python; anything else must be an executable on the PATH.
        ranks: the number of processes, 1 or more.
        threads: the number of BLAS and OpenMP threads of each rank.
        timeout: seconds after which the job is killed; None waits for ever.
        hostfile: Open MPI's list of machines (`name slots=4`, one a line); None means this machine.
        env: variables added to the job's environment.
        capture: keep what the ranks print in `stdout` and `stderr` instead of showing it.

    Returns:
        A `subprocess.CompletedProcess`. Its `returncode` is that of the rank that ended the job, 128 + the
        number of the signal that did, or 124 with `timed_out` True when the time was over.

    Raises:
        ValueError: nothing to run, fewer than one rank or thread, or a timeout that is not positive.
        FileNotFoundError: the program or the host file does not exist.
        MpiNotFoundError: no mpirun fits the MPI that mpi4py loads.
    """
    for name, value in (("ranks", ranks), ("threads", threads)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout={timeout} must be a positive number of seconds")
    if hostfile is not None and not Path(hostfile).is_file():
        raise FileNotFoundError(f"hostfile={str(hostfile)!r} does not exist")
    program = rank_command(argv)
    runtime = find_runtime()
    own = job_variables(runtime, ranks, threads, local=hostfile is None) | dict(env or {})
    command = mpirun_command(runtime, ranks, hostfile, own) + program
    return _run(command, os.environ | own, timeout, capture)


def rank_command(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` as one rank: Python programs through the runner in rank.py.

    Raises:
        ValueError: `argv` is empty, or asks for a module or code without naming it.
        FileNotFoundError: there is no such program.
    """
    words = [str(word) for word in argv]
    if words and Path(words[0]).name in ("python", "python3") and len(words) > 1:
        words = words[1:]  # `python program.py` means this Python: another would load another mpi4py
    if not words:
        raise ValueError("nothing to run: name the program, as in minigrad launch -n 4 -- program.py")
    if words[0] in ("-m", "-c"):
        if len(words) == 1:
            raise ValueError(f"{words[0]} must be followed by {'a module' if words[0] == '-m' else 'code'}")
    elif words[0].endswith(".py"):
        if not Path(words[0]).is_file():
            raise FileNotFoundError(f"program {words[0]!r} does not exist in {os.getcwd()}")
    elif executable := shutil.which(words[0]):
        return [executable, *words[1:]]
    else:
        raise FileNotFoundError(f"program {words[0]!r} is no Python file (.py) and no command on the PATH")
    return [sys.executable, str(Path(__file__).with_name("rank.py")), *words]


def mpirun_command(
    runtime: MpiRuntime, ranks: int, hostfile: str | Path | None, variables: Mapping[str, str]
) -> list[str]:
    """The mpirun command line up to the program."""
    command = [str(runtime.mpirun), "-n", str(ranks)]
    if runtime.vendor != "Open MPI":
        return command + (["-hostfile", str(hostfile)] if hostfile else [])
    command += ["--bind-to", "none"]  # binding fails in many containers and pins a rank's threads
    if hostfile is None:
        return command + ["--map-by", ":OVERSUBSCRIBE"]
    exports = [word for name in variables for word in ("-x", name)]  # other machines get only what is named
    return command + ["--hostfile", str(hostfile), *exports]


def job_variables(runtime: MpiRuntime, ranks: int, threads: int, *, local: bool) -> dict[str, str]:
    """The environment variables that a job is given on top of ours."""
    variables = dict.fromkeys(THREAD_VARIABLES, str(threads))
    variables["PYTHONFAULTHANDLER"] = "1"  # a rank that crashes in C code shows where its Python code was
    if runtime.vendor != "Open MPI":
        return variables
    variables["OMPI_MCA_opal_signal"] = ""  # Open MPI's own crash report would take its place
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # else Open MPI refuses; in a container root is all there is
        variables |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if ranks > (os.cpu_count() or 1):  # a rank that waits must give its core to one that works
        variables["OMPI_MCA_mpi_yield_when_idle"] = "1"
    if local and "OMPI_MCA_btl" not in os.environ and _shared_memory_free() > ranks * SHARED_MEMORY_PER_RANK:
        variables["OMPI_MCA_btl"] = "self,sm"  # Open MPI's TCP sleeps one second at start, needed or not
    return variables


def _shared_memory_free() -> int:
    return shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else 0


def _run(command: list[str], env: dict[str, str], timeout: float | None, capture: bool) -> FinishedJob:
    """Run `command` in a session of its own, so that all it starts can be found and ended."""
    captured: dict[str, list[str]] = {"stdout": [], "stderr": []}
    errors = JobErrors()
    told = False

    def show(text: str) -> None:
        nonlocal told
        told = told or bool(text.strip())
        (captured["stderr"].append if capture else _show_error)(text)

    process = subprocess.Popen(
        command,
        env=env,
        start_new_session=True,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL if capture else None,
        stdout=subprocess.PIPE if capture else None,
    )
    readers = [_reader(process.stderr, lambda text: show(errors.feed(text)))]
    if capture:
        readers.append(_reader(process.stdout, captured["stdout"].append))
    timed_out = False
    try:
        with _stop_signals_raise():
            process.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        end_session(process)
        for reader in readers:
            reader.join(GRACE)  # not for ever: a daemon that left the session may still hold the pipe
        show(errors.finish())
    status = 128 - process.returncode if process.returncode < 0 else process.returncode
    job = FinishedJob(command, TIMED_OUT if timed_out else status)
    job.timed_out = timed_out
    job.silent = not told
    if capture:
        job.stdout, job.stderr = "".join(captured["stdout"]), "".join(captured["stderr"])
    return job


def end_session(process: subprocess.Popen[Any], grace: float = GRACE) -> None:
    """End `process` and everything that it started: ask first, kill after `grace` seconds.

    mpirun gives every rank a process group of its own, but all of them stay in mpirun's session.
    """
    try:
        if process.poll() is None:
            process.terminate()
            process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    finally:
        deadline = time.monotonic() + KILL_TIME
        while (members := session_members(process.pid)) and time.monotonic() < deadline:
            for pid in members:
                with _gone_already():
                    os.kill(pid, signal.SIGKILL)
            process.poll()  # a dead process stays in the list until its parent has asked for its end
            time.sleep(0.01)
        if process.poll() is None:
            process.kill()
            process.wait()


def session_members(session: int) -> list[int]:
    """The processes of a session; empty on Windows, which has none."""
    if not hasattr(os, "getsid"):
        return []
    members = []
    for pid in _all_processes():
        with _gone_already():
            if os.getsid(pid) == session:
                members.append(pid)
    return members


def _all_processes() -> list[int]:
    if Path("/proc/self").exists():
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    listing = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True)
    return [int(word) for word in listing.stdout.split()]


@contextmanager
def _gone_already() -> Iterator[None]:
    """A process may end between being listed and being asked; one of another user is none of ours."""
    try:
        yield
    except (ProcessLookupError, PermissionError):
        pass


@contextmanager
def _stop_signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt the wait as Ctrl-C does; afterwards they do what they did before."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []  # only the main thread may set handlers, and only it receives signals
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reader(stream: IO[bytes] | None, take: Callable[[str], object]) -> threading.Thread:
    """A thread that hands on what arrives on `stream`, at once, until its end."""
    assert stream is not None
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read() -> None:
        with stream:
            while chunk := os.read(stream.fileno(), 65536):
                take(decoder.decode(chunk))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _show_error(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
