"""Every rank runs every test of this folder, in the same order; after each one all agree on its result.

    mpirun -n 3 python -m pytest tests/mpi      (tests/test_mpi_suite.py does it on 2, 3 and 4 ranks)

Rank 0 alone prints. A test fails when it fails on any rank, and the report tells which. A rank that fails while
the others wait for its messages cannot agree with them: after a few seconds it says what happened and ends the
job. Hypothesis draws the same examples on all ranks here and does not shrink, because a lone rank must not run
more of them than the others.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings
from mpi4py import MPI
from threadpoolctl import threadpool_limits

AFTER_FAILURE = 5.0  # seconds that a failed rank waits for the others to come to the end of the test
PATIENCE = 90.0  # seconds that any rank waits
COUNTS_VARIABLE = "MINIGRAD_MPI_COUNTS"  # names the file in which rank 0 leaves its counts
OUTCOMES = ("passed", "failed", "skipped")

AGREEMENT = MPI.COMM_WORLD.Dup()  # apart from the tests' own messages
RANK = AGREEMENT.Get_rank()
PINNED = threadpool_limits(1)  # bits are compared here, and the order in which BLAS adds depends on its threads

settings.register_profile(
    "mpi", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("mpi")


@pytest.fixture
def comm() -> Iterator[MPI.Intracomm]:
    """MPI's world; a test must receive all that was sent in it."""
    world = MPI.COMM_WORLD
    yield world
    status = MPI.Status()
    if world.Iprobe(status=status):
        leftover = bytearray(status.Get_count(MPI.BYTE))
        world.Recv([leftover, MPI.BYTE], status.source, status.tag)  # or the next test would find it
        pytest.fail(f"a message from rank {status.source} with tag {status.tag} was never received")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let rank 0 alone print."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if RANK > 0 and reporter is not None:
        config.pluginmanager.unregister(reporter)
        silent = open(os.devnull, "w")  # noqa: SIM115  (it lives as long as the run)
        config.add_cleanup(silent.close)
        config.pluginmanager.register(pytest.TerminalReporter(config, silent), "terminalreporter")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to start when the ranks have not collected the same tests in the same order."""
    mine = [item.nodeid for item in session.items] if not session.testsfailed else ["an error in collection"]
    if len({tuple(tests) for tests in AGREEMENT.allgather(mine)}) > 1:
        pytest.exit("the ranks have collected different tests, or the same in another order", returncode=3)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run one test, agree with the other ranks on its result, and report that."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    agree(item.nodeid, reports)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave the number of tests that ran for whoever started mpirun."""
    path = os.environ.get(COUNTS_VARIABLE)
    if path and RANK == 0:
        tally: Any = session.config.pluginmanager.get_plugin("tally")
        Path(path).write_text(json.dumps({"ran": tally.ran, "skipped": dict(tally.skipped)}))


def pytest_unconfigure() -> None:
    """Leave together: a rank that exits with a failure ends the job, and rank 0 may still be printing."""
    wait(AGREEMENT.Ibarrier(), PATIENCE, "the end of the run", "")


def agree(test: str, reports: list[pytest.TestReport]) -> None:
    """Mark this rank's reports of a test as failed when any rank failed, with every failing rank's text.

    A failing rank's own `call` report keeps its text, with the rank before it.
    """
    mine = outcome(reports)
    text = failure_text(reports)
    outcomes = np.empty(AGREEMENT.Get_size(), np.int64)
    request = AGREEMENT.Iallgather(np.array([OUTCOMES.index(mine)]), outcomes)
    wait(request, AFTER_FAILURE if mine == "failed" else PATIENCE, test, text)
    if np.all(outcomes == outcomes[0]) and mine != "failed":
        return
    texts = AGREEMENT.allgather(text)
    report = next((report for report in reports if report.when == "call"), reports[0])
    report.outcome = "failed"
    report.longrepr = "\n".join(
        f"rank {rank} of {len(texts)} {OUTCOMES[outcomes[rank]]}\n{text}"
        for rank, text in sorted(enumerate(texts), key=lambda pair: not pair[1])  # those with a failure first
    )


def outcome(reports: list[pytest.TestReport]) -> str:
    """A test's result from the reports of its phases."""
    for result in ("failed", "skipped"):
        if any(report.outcome == result for report in reports):
            return result
    return "passed"


def failure_text(reports: list[pytest.TestReport]) -> str:
    """What the failed phases say, with what they printed."""
    failed = [report for report in reports if report.failed]
    parts = [part for report in failed for part in (report.longreprtext, report.capstdout, report.capstderr)]
    return "".join(f"{part.rstrip()}\n" for part in parts if part)


def wait(request: MPI.Request, seconds: float, test: str, text: str) -> None:
    """Wait for the other ranks; when they do not come in time, say why and end the job."""
    deadline = time.monotonic() + seconds
    while not request.Test():
        if time.monotonic() > deadline:
            what = f"failed in {test}:\n{text}" if text else f"has waited {seconds:g} s for the others in {test}"
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"\nrank {RANK} {what}\n".encode())
            AGREEMENT.Abort(1)
        time.sleep(0.0005)
