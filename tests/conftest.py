"""What every test run shares: tests/mpi left to mpirun, and a summary that says what ran and what did not.

A skipped test is a promise not kept in this run, so the summary names the reason of each, and the parts that
this machine cannot test at all.
"""

from __future__ import annotations

import signal
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

MPI_FOLDER = Path(__file__).parent / "mpi"
PARITY_FOLDER = Path(__file__).parent / "parity"

# A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow example on a busy machine is no defect.
settings.register_profile("minigrad", deadline=None, print_blob=True)
settings.load_profile("minigrad")


class Tally:
    """Counts what ran, where, and why the rest did not."""

    def __init__(self) -> None:
        self.ran = 0
        self.skipped: Counter[str] = Counter()
        self.deselected = 0
        self.mpi_runs: dict[int, int] = {}  # ranks -> tests that each of them ran
        self.mpi_skipped: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once, by its call."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped[_skip_reason(report)] += 1
        elif report.when == "call":
            self.ran += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A whole module can be skipped, by `pytest.importorskip`."""
        if report.skipped:
            self.skipped[_skip_reason(report)] += 1

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Tests left out by -k or -m."""
        self.deselected += len(items)

    def of_worker(self) -> dict[str, object]:
        """What a worker of `pytest -n` knows and the process that gathers its reports does not."""
        return {"mpi_runs": self.mpi_runs, "mpi_skipped": dict(self.mpi_skipped), "deselected": self.deselected}

    def add_worker(self, counts: Any) -> None:
        """Take in what a worker knows; each of them has left out the same tests."""
        self.mpi_runs |= counts["mpi_runs"]
        self.mpi_skipped |= counts["mpi_skipped"]
        self.deselected = max(self.deselected, counts["deselected"])

    def ran_line(self) -> str:
        """Such as `ran: 412 tests in this process, 57 under mpirun on 2, 57 on 3 ranks`."""
        line = f"ran: {self.ran} tests in this process"
        if self.mpi_runs:
            runs = ", ".join(f"{count} on {ranks}" for ranks, count in sorted(self.mpi_runs.items()))
            line += ", " + runs.replace(" on ", " under mpirun on ", 1) + " ranks"
        return line

    def not_run_line(self) -> str:
        """Such as `not run: GPU (no CuPy), 3 tests: NVRTC is not installed`."""
        reasons = list(_parts_missing())
        if not self.mpi_runs:
            reasons.append("tests/mpi (tests/test_mpi_suite.py was not among the tests)")
        for reason, count in sorted({**self.skipped, **self.mpi_skipped}.items()):
            tests = f"{count} test{'s' * (count != 1)}: {reason}"
            if reason in reasons:
                reasons[reasons.index(reason)] = tests
            else:
                reasons.append(tests)
        if self.deselected:
            reasons.append(f"{self.deselected} deselected by -k or -m")
        return f"not run: {', '.join(reasons) or 'nothing was left out'}"


TALLY = pytest.StashKey[Tally]()


def pytest_configure(config: pytest.Config) -> None:
    """Count this run's tests."""
    config.stash[TALLY] = Tally()
    config.pluginmanager.register(config.stash[TALLY], "tally")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands in its counts."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = session.config.stash[TALLY].of_worker()


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any) -> None:
    """The process that gathers the reports takes them."""
    if "tally" in getattr(node, "workeroutput", {}):
        node.config.stash[TALLY].add_worker(node.workeroutput["tally"])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests/mpi to mpirun unless it is named, and tests/parity to machines that have PyTorch."""
    if _within(collection_path, MPI_FOLDER) and not _named(config, MPI_FOLDER):
        return True
    if _within(collection_path, PARITY_FOLDER) and find_spec("torch") is None:
        return True
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """End with what ran and what did not; the runs under mpirun are counted by the run that started them."""
    if not _named(config, MPI_FOLDER):
        terminalreporter.write_line(config.stash[TALLY].ran_line())
        terminalreporter.write_line(config.stash[TALLY].not_run_line())


@pytest.fixture
def mpi_runs(pytestconfig: pytest.Config) -> dict[int, int]:
    """Where a test that starts tests/mpi under mpirun enters how many tests ran on how many ranks."""
    return pytestconfig.stash[TALLY].mpi_runs


@pytest.fixture
def tally(pytestconfig: pytest.Config) -> Tally:
    """This run's counts."""
    return pytestconfig.stash[TALLY]


def _parts_missing() -> Iterator[str]:
    """The parts of the suite that this machine cannot run."""
    if reason := gpu_missing():
        yield reason
    if find_spec("torch") is None:
        yield "parity with PyTorch (torch not installed)"


@cache
def gpu_missing() -> str:
    """Why nothing runs on a GPU here, or ""."""
    if find_spec("cupy") is None:
        return "GPU (no CuPy)"
    return "" if _gpu_present() else "GPU (no device)"


@pytest.fixture
def gpu() -> None:
    """Leave a test out where there is no GPU; the summary names the reason once."""
    if reason := gpu_missing():
        pytest.skip(reason)


def _gpu_present() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy warns of a CUDA that is not there, which is what we ask
        import cupy

    try:
        return bool(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    assert isinstance(report.longrepr, tuple)
    return report.longrepr[2].removeprefix("Skipped: ")


def _within(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _named(config: pytest.Config, folder: Path) -> bool:
    """Whether the command line names `folder` or something in it."""
    return any(
        _within(Path(config.invocation_params.dir, arg.partition("::")[0]).resolve(), folder) for arg in config.args
    )
