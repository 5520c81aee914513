"""Threads over blocks of rows: how many, and the loop that uses them.

NumPy releases the interpreter's lock inside its loops, so that two Python threads that each work on their own block of
an array run at the same time. A block is small enough that the temporaries of a kernel stay in a cache.

How many threads is decided in one place, here:

>>> with use_threads(1):
...     thread_count()
1

Without that, it is `MINIGRAD_THREADS` from the environment; else 1 in a process that mpirun started, since its
neighbours have the other cores; else the number of cores this process may use. The blocks do not depend on the number
of threads, so that the result does not either, to the last bit: BLAS adds up a row in an order that depends on how many
rows it is given.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

BLOCK_ELEMENTS = 1 << 18
"""Elements in a block: 1 MB of float32, and a kernel's three or four arrays stay in the L3 cache. Blocks that fit in
L2 were slower here: they cost more calls, and between two calls a thread needs the interpreter's lock, as others do."""

THREADS_FROM = 1 << 18
"""Elements below which one thread works alone. To wake another and to wait for it takes 30 us, which is what half of a
GELU of 2^17 float32 takes, or all of a product of 2^18: tests/benchmarks/cpu_kernels."""

MOST_THREADS = 64

# A ContextVar and not a module global: each thread, and each simulated rank, has its own.
_threads: ContextVar[int | None] = ContextVar("kernel_threads", default=None)


def thread_count() -> int:
    """Threads that a kernel called here and now may use, the caller's own included."""
    chosen = _threads.get()
    return default_thread_count() if chosen is None else chosen


@contextlib.contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Inside the `with` block or the decorated function, kernels use so many threads.

    It holds for the calling thread only. A thread that a program starts by itself begins with the default, so one that
    computes beside others calls its work inside `use_threads(1)`.

    Args:
        count: 1 or more; 1 is the calling thread alone.

    Raises:
        ValueError: a number below 1.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1")
    token = _threads.set(min(count, MOST_THREADS))
    try:
        yield
    finally:
        _threads.reset(token)


@cache
def default_thread_count() -> int:
    """What the environment says, read once.

    Raises:
        ValueError: MINIGRAD_THREADS is no positive integer.
    """
    setting = os.environ.get("MINIGRAD_THREADS", "")
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise ValueError(f"MINIGRAD_THREADS={setting!r} must be an integer of at least 1")
        return min(int(setting), MOST_THREADS)
    if any(name in os.environ for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def block_rows(width: int) -> int:
    """Rows of `width` elements in a block of about `BLOCK_ELEMENTS`; at least one."""
    return max(1, BLOCK_ELEMENTS // max(width, 1))


def for_row_blocks(work: Callable[[slice], None], rows: int, width: int = 1, *, height: int | None = None) -> None:
    """Call `work(block)` for slices of rows that together are all of them, on as many threads as may be used.

    Args:
        work: computes its rows and writes them where no other call writes.
        rows: number of rows.
        width: elements in a row.
        height: rows in a block; left out, `block_rows(width)`.

    Raises:
        Exception: whatever `work` raised, once all threads have stopped.
    """
    height = block_rows(width) if height is None else height
    threads = thread_count()
    if rows * width < THREADS_FROM or threads == 1 or rows <= height:
        for start in range(0, rows, height):
            work(slice(start, min(start + height, rows)))
        return
    starts = deque(range(0, rows, height))  # whoever is free takes the next

    def until_none_is_left() -> None:
        while True:
            try:
                start = starts.popleft()
            except IndexError:
                return
            work(slice(start, min(start + height, rows)))

    # Each helper runs in a copy of the caller's context: NumPy's error state is part of it.
    helpers = [
        thread_pool().submit(copy_context().run, until_none_is_left) for _ in range(min(threads, len(starts)) - 1)
    ]
    try:
        until_none_is_left()
    finally:
        starts.clear()  # after an error nobody begins another block
        # A helper that has not begun finds nothing to do, so it is called off. If it were waited for, a loop inside
        # the work of this one could wait for ever: for a thread of the pool, while all of these wait in the same way.
        begun = [helper for helper in helpers if not helper.cancel()]
        errors = [error for error in (helper.exception() for helper in begun) if error is not None]
    if errors:
        raise errors[0]


@cache
def thread_pool() -> ThreadPoolExecutor:
    """The threads that all kernels share, each started when it is first needed."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="kernel")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=thread_pool.cache_clear)
