"""Loading batches ahead of the model, on threads or processes.

While the model computes on one batch, workers fetch the next ones. What comes next is decided by the sampler and
nobody else, and batches are handed out in its order, so the numbers do not depend on how many workers there are.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import count, islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, Protocol

import numpy as np

from minigrad.data.sampler import DistributedSampler
from minigrad.device import Array

Transform = Callable[[Any, np.random.Generator], Any]


class Batches(Protocol):
    """Data that can be asked for the examples with certain numbers."""

    def batch(self, indices: Array) -> Any:
        """These examples, as arrays."""


class WorkerError(RuntimeError):
    """A worker failed; the message holds the traceback from there."""


class DataLoader:
    """An iterator over batches, made ahead of time by workers and handed out in order.

    Args:
        data: has `batch(indices)`.
        indices: the numbers of each batch's examples, such as `sampler.epoch(0)` or `batches_from(sampler, 40)`.
            It may be endless: it is read only as far ahead as `prefetch`.
        workers: how many; 0 makes each batch when it is asked for.
        prefetch: how many batches to have ready or in the making; 2 per worker by default.
        processes: processes instead of threads: for work in pure Python, which holds the interpreter's lock. The
            data is sent to each of them once, the batches come back through a pipe.
        transform: `transform(batch, generator)`, run by the workers, for augmentation. The generator is made from
            (seed, number of the batch) and thus gives the same numbers on any worker.
        seed: of those generators.
        first: number of the first batch, for a run that goes on from the middle.

    Raises:
        ValueError: workers negative, or prefetch less than 1.
        WorkerError: while iterating: `batch` or `transform` raised, or a worker died.

    Cost: with work f a batch on w workers and the model's c, a step takes max(f / w, c) instead of f + c.
    """

    def __init__(
        self,
        data: Batches,
        indices: Iterable[Array],
        *,
        workers: int = 0,
        prefetch: int | None = None,
        processes: bool = False,
        transform: Transform | None = None,
        seed: int = 0,
        first: int = 0,
    ) -> None:
        if workers < 0:
            raise ValueError(f"workers={workers} must not be negative")
        if prefetch is not None and prefetch < 1:
            raise ValueError(f"prefetch={prefetch} must be at least 1")
        self.data, self.indices, self.workers, self.processes = data, indices, workers, processes
        self.prefetch = 2 * workers if prefetch is None else prefetch
        self.transform, self.seed, self.first = transform, seed, first

    def __iter__(self) -> Iterator[Any]:
        """Batch after batch. Leaving the loop early stops the workers."""
        tasks = zip(count(self.first), self.indices, strict=False)
        if self.workers == 0:
            for number, indices in tasks:
                try:
                    batch = make_batch(self.data, self.transform, self.seed, number, indices)
                except Exception as error:
                    raise WorkerError(_report(number, error)) from error
                yield batch
            return
        executor = self._executor()
        try:
            yield from self._in_order(executor, tasks)
        finally:  # also when the caller breaks off, which closes this generator
            executor.shutdown(wait=True, cancel_futures=True)

    def _executor(self) -> Executor:
        if not self.processes:
            return ThreadPoolExecutor(self.workers, thread_name_prefix="data")
        # Spawned and not forked: a fork copies the locks of threads that it does not copy (BLAS has some).
        settings = (self.data, self.transform, self.seed)
        return ProcessPoolExecutor(self.workers, get_context("spawn"), _start_process, settings)

    def _in_order(self, executor: Executor, tasks: Iterator[tuple[int, Array]]) -> Iterator[Any]:
        waiting: deque[tuple[int, Future[Any]]] = deque()
        for task in islice(tasks, self.prefetch):
            waiting.append((task[0], self._submit(executor, *task)))
        while waiting:
            number, future = waiting.popleft()
            try:
                batch = future.result()
            except Exception as error:
                raise WorkerError(_report(number, error)) from error
            for task in islice(tasks, 1):  # one goes out, one comes in
                waiting.append((task[0], self._submit(executor, *task)))
            yield batch

    def _submit(self, executor: Executor, number: int, indices: Array) -> Future[Any]:
        if self.processes:
            return executor.submit(_in_process, number, indices)
        return executor.submit(make_batch, self.data, self.transform, self.seed, number, indices)


def make_batch(data: Batches, transform: Transform | None, seed: int, number: int, indices: Array) -> Any:
    """Fetch one batch and transform it; the same wherever it runs."""
    batch = data.batch(indices)
    return batch if transform is None else transform(batch, np.random.default_rng((seed, number)))


def batches_from(sampler: DistributedSampler, batch: int) -> Iterator[Array]:
    """What the sampler gives from this global batch on, epoch after epoch: the place a stopped run goes on from.

    >>> sampler = DistributedSampler(10, 4, seed=0)
    >>> sixth = next(islice(iter(sampler), 5, None))
    >>> bool((next(batches_from(sampler, 5)) == sixth).all())
    True
    """
    epoch, done = divmod(batch, sampler.batches_per_epoch())
    yield from islice(sampler.epoch(epoch), done, None)
    for later in count(epoch + 1):
        yield from sampler.epoch(later)


# --------------------------------------------------------------------------------------- in a worker process

_settings: tuple[Any, ...] = ()  # of this worker process: data, transform, seed; sent once, at its start


def _start_process(*settings: Any) -> None:
    global _settings
    _settings = settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it stops us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot say goodbye; its children must notice."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _in_process(number: int, indices: Array) -> Any:
    data, transform, seed = _settings
    return make_batch(data, transform, seed, number, indices)


def _report(number: int, error: Exception) -> str:
    """Which batch failed, and the traceback, that of another process included."""
    lines = "".join(traceback.format_exception(error))
    return f"batch {number} could not be loaded: {type(error).__name__}: {error}\n\n{lines}"
