"""Blocks and threads: every row once, settings that stay where they belong, errors that come out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minigrad.kernels import threads
from minigrad.kernels.threads import for_row_blocks, thread_count, use_threads


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 4 elements, on threads from the first element on."""
    monkeypatch.setattr(threads, "BLOCK_ELEMENTS", 4)
    monkeypatch.setattr(threads, "THREADS_FROM", 0)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize(("rows", "width"), [(0, 3), (1, 1), (4, 1), (5, 1), (7, 2), (3, 100), (20, 0)])
def test_every_row_once(rows: int, width: int, count: int) -> None:
    seen = np.zeros(rows, int)

    def work(block: slice) -> None:
        seen[block] += 1

    with use_threads(count):
        for_row_blocks(work, rows, width)
    assert (seen == 1).all()


def test_blocks_are_the_same_for_any_number_of_threads() -> None:
    found = []
    for count in (1, 2, 5):
        blocks: list[tuple[int, int]] = []
        with use_threads(count):
            for_row_blocks(lambda block, blocks=blocks: blocks.append((block.start, block.stop)), 11, 2)
        found.append(sorted(blocks))
    assert found[0] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 11)]
    assert found[0] == found[1] == found[2]


def test_two_threads_work_at_the_same_time() -> None:
    """Each of two blocks waits for the other: on one thread this would never end."""
    meeting = threading.Barrier(2, timeout=10)
    with use_threads(2):
        for_row_blocks(lambda block: meeting.wait() and None, 8)


def test_an_error_of_any_thread_comes_out_and_ends_the_loop() -> None:
    def work(block: slice) -> None:
        if block.start == 8:
            raise ZeroDivisionError(f"rows {block.start}")

    for count in (1, 2, 3):
        with use_threads(count), pytest.raises(ZeroDivisionError, match="rows 8"):
            for_row_blocks(work, 40)


def test_a_loop_inside_a_loop_does_not_wait_for_a_thread_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool's only thread is in the outer loop: nobody could begin what an inner loop gives away."""
    pool = ThreadPoolExecutor(1)
    monkeypatch.setattr(threads, "thread_pool", lambda: pool)
    meeting = threading.Barrier(2, timeout=10)
    seen = np.zeros((2, 8), int)

    def outer(block: slice) -> None:
        meeting.wait()

        def inner(columns: slice) -> None:
            seen[block, columns] += 1

        for_row_blocks(inner, 8, height=4)

    def run() -> None:
        with use_threads(2):
            for_row_blocks(outer, 2, height=1)

    runner = threading.Thread(target=run, daemon=True)
    runner.start()
    runner.join(10)
    assert not runner.is_alive()
    assert (seen == 1).all()


def test_numpys_error_state_reaches_every_thread() -> None:
    x = np.zeros(40)
    with use_threads(3), np.errstate(divide="ignore"):
        for_row_blocks(lambda block: np.log(x[block], out=x[block]) is None, len(x))
    assert np.isneginf(x).all()
    with use_threads(3), np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        for_row_blocks(lambda block: np.divide(1.0, np.zeros(4)) is None, 40)


def test_the_setting_belongs_to_one_thread() -> None:
    found: list[int] = []
    with use_threads(5):
        other = threading.Thread(target=lambda: found.append(thread_count()))
        other.start()
        other.join()
        assert thread_count() == 5
        with use_threads(1):
            assert thread_count() == 1
        assert thread_count() == 5
    assert found == [threads.default_thread_count()]


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"count={count} must be at least 1"), use_threads(count):
        pass


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment that says nothing of threads, read anew."""
    for name in ("MINIGRAD_THREADS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"):
        monkeypatch.delenv(name, raising=False)
    threads.default_thread_count.cache_clear()
    yield monkeypatch
    threads.default_thread_count.cache_clear()


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"MINIGRAD_THREADS": "3"}, 3),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 1),
        ({"PMI_SIZE": "4", "MINIGRAD_THREADS": "2"}, 2),
    ],
)
def test_the_environment_decides(variables: dict[str, str], count: int, environment: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert thread_count() == count


@pytest.mark.parametrize("value", ["0", "many", "-2"])
def test_an_impossible_environment_is_refused(value: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MINIGRAD_THREADS", value)
    with pytest.raises(ValueError, match=f"MINIGRAD_THREADS='{value}' must be an integer of at least 1"):
        thread_count()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """In another process, since a fork beside threads is what Python warns of."""
    code = """if True:
        import os, warnings
        from minigrad.kernels import threads
        threads.THREADS_FROM, threads.BLOCK_ELEMENTS = 0, 4
        warnings.simplefilter("ignore")
        def run():
            with threads.use_threads(3):
                threads.for_row_blocks(lambda block: None, 40)
        run()
        if os.fork() == 0:
            run()
            os._exit(0)
        raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
