"""A batch on several threads: each runs forward and backward on its own rows, then the gradients are added.

NumPy and BLAS let other threads run while they compute, so two threads that each do half of the batch keep two cores
busy through the whole step, with one meeting at its end. The threads inside BLAS and inside the kernels meet at the
end of every operation: they are switched off meanwhile.

The sum is that of gradient accumulation (accumulation.py), and so are its limits: each part counts by its number of
targets, and batch normalisation, whose statistics are a part's own, is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, TypeVar

import numpy as np

from minigrad.autograd import grad
from minigrad.device import Array
from minigrad.kernels.threads import for_row_blocks, use_threads
from minigrad.modes import is_watched
from minigrad.nn import Module, Parameter
from minigrad.nn.generators import standing_in
from minigrad.nn.normalization import BatchNorm
from minigrad.randomness import generators_of
from minigrad.tensor import Tensor

Answer = TypeVar("Answer")


class BatchThreads:
    """Threads that share each batch of one model.

        threads = BatchThreads(model, 2)
        for inputs, targets in batches:
            model.zero_grad()
            loss = threads.backward(model.loss, inputs, targets)
            optimizer.step()

    Gradients are equal to those of the whole batch up to rounding, and the same to the bit in every run with as many
    threads. Each thread draws its own random numbers (dropout), seeded from the model's generators: with another
    number of threads the masks are others.

    Args:
        model: whose parameters get the gradients.
        count: number of threads; 1 runs in the caller's.

    Raises:
        ValueError: count below 1, or a model with batch normalisation on more than one.
    """

    def __init__(self, model: Module, count: int) -> None:
        if count < 1:
            raise ValueError(f"count={count} threads must be at least 1")
        if count > 1 and not can_share_batch(model):
            raise ValueError(
                f"count={count} threads for a model with batch normalisation: each would normalise by the mean and "
                "variance of its own rows; use count=1"
            )
        self.model, self.count = model, count
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0  # whose threads the pool has
        self._blas = _blas_controller() if count > 1 else None

    def backward(
        self,
        loss_function: Callable[..., Tensor],
        *arrays: Array,
        counts: Callable[..., int] | None = None,
        scale: float = 1.0,
    ) -> float:
        """Add the gradients of the mean loss over a batch to the parameters'.

        Args:
            loss_function: called with a part of each array; the mean loss over the part's targets.
            arrays: examples along the first axis of each, such as inputs and targets.
            counts: called like loss_function, how many targets a part has; left out, the size of its last array.
            scale: multiplies the loss that is differentiated, and not the one that is returned (loss scaling).

        Returns:
            The mean loss over all targets.

        Raises:
            ValueError: arrays of different lengths, or no targets.
            Exception: whatever loss_function raises, in whichever thread; no gradient has been added then, and no
                thread is still at work.
        """
        parts = split_rows(arrays, self.count)
        weights = weights_of([counts(*part) if counts else part[-1].size for part in parts])
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        stand_ins = stand_ins_for(generators_of(self.model), len(parts))

        def work(position: int) -> tuple[float, list[Array | None]]:
            weight = weights[position]
            if weight == 0.0:
                return 0.0, [None] * len(parameters)
            with standing_in(stand_ins[position]):
                loss = loss_function(*parts[position])
                seed = np.asarray(weight * scale, loss.dtype)
                found = grad(loss, parameters, seed, allow_unused=True)
            return loss.item() * weight, [None if share is None else share.data for share in found]

        answers = self._run(work, len(parts))
        totals: list[Array | None] = [None] * len(parameters)

        def add(some: slice) -> None:
            for position in range(some.start, some.stop):
                totals[position] = add_up([shares[position] for _, shares in answers])

        numbers = sum(parameter.data.size for parameter in parameters)
        for_row_blocks(add, len(parameters), numbers // max(len(parameters), 1), height=1)
        for parameter, total in zip(parameters, totals, strict=True):
            if total is not None:
                give(parameter, total)
        return sum(loss for loss, _ in answers)

    def accumulate(
        self,
        loss_function: Callable[..., Tensor],
        micro_batches: Sequence[tuple[Array, ...]],
        scale: float = 1.0,
        before_last: Callable[[], None] | None = None,
    ) -> float:
        """`backward` on one micro-batch after the other, all elements of its last array being targets.

        Args:
            loss_function, scale: as for `backward`.
            micro_batches: each a tuple of arrays.
            before_last: called before the last of them: gradients are complete once that is done, not sooner.

        Returns:
            The mean loss over all targets.
        """
        weights = weights_of([piece[-1].size for piece in micro_batches])
        due = [(piece, weight) for piece, weight in zip(micro_batches, weights, strict=True) if weight > 0.0]
        mean = 0.0
        for number, (piece, weight) in enumerate(due, start=1):
            if number == len(due) and before_last is not None:
                before_last()
            mean += self.backward(loss_function, *piece, scale=scale * weight) * weight
        return mean

    def _run(self, work: Callable[[int], Answer], count: int) -> list[Answer]:
        """work(0), work(1), ... each in a thread of its own, the first in this one; all are done afterwards."""
        if self._blas is None or count == 1 or is_watched():  # a profiler sees one operation at a time
            return [work(position) for position in range(count)]
        pool = self._own_pool()
        with self._blas.limit(limits=1, user_api="blas"), use_threads(1):
            # Each has a copy of the modes that are set here: no_grad, autocast, NumPy's errstate.
            others: list[Future[Answer]] = [
                pool.submit(copy_context().run, work, position) for position in range(1, count)
            ]
            try:
                first = copy_context().run(work, 0)
            finally:  # also after an error or Ctrl-C: nobody goes on while another thread is at work on the model
                wait(others)
            return [first, *[other.result() for other in others]]

    def _own_pool(self) -> ThreadPoolExecutor:
        """The threads, made at the first use in each process: a forked child has none of its parent's."""
        if self._pool is None or self._process != os.getpid():
            self._pool, self._process = ThreadPoolExecutor(self.count - 1, "batch"), os.getpid()
        return self._pool


def can_share_batch(model: Module) -> bool:
    """Whether every example's output depends on that example alone."""
    return not any(isinstance(module, BatchNorm) for module in model.modules())


def split_rows(arrays: Sequence[Array], count: int) -> list[tuple[Array, ...]]:
    """Cut every array into at most `count` runs of rows, as equal as can be and none empty.

    Raises:
        ValueError: no arrays, or arrays of different lengths.

    >>> [part[0].tolist() for part in split_rows([np.arange(5)], 2)]
    [[0, 1, 2], [3, 4]]
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise ValueError(f"a batch needs arrays of one length, got lengths {sorted(lengths)}")
    count = max(1, min(count, *lengths))
    return list(zip(*[np.array_split(array, count) for array in arrays], strict=True))


def weights_of(counts: Sequence[int]) -> list[float]:
    """The share of all targets that each part has.

    Raises:
        ValueError: a negative count, or no targets at all.
    """
    total = sum(counts)
    if total < 1 or min(counts) < 0:
        raise ValueError(f"counts={list(counts)} must not be negative and have at least one target together")
    return [count / total for count in counts]


def stand_ins_for(
    generators: Sequence[np.random.Generator], parts: int
) -> list[dict[int, np.random.Generator]]:
    """For each part a generator in the place of each of the model's, seeded from it; one part keeps the model's."""
    if parts == 1:
        return [{}]
    seeds = [generator.integers(1 << 63, size=parts) for generator in generators]
    return [
        {id(generator): np.random.default_rng(seed[part]) for generator, seed in zip(generators, seeds, strict=True)}
        for part in range(parts)
    ]


def add_up(shares: Sequence[Array | None]) -> Array | None:
    """The sum of those that are there, in their order, as a new array."""
    present = [share for share in shares if share is not None]
    if not present:
        return None
    total = present[0] + present[1] if len(present) > 1 else present[0].copy()
    for share in present[2:]:
        total += share
    return total


def give(parameter: Parameter, gradient: Array) -> None:
    """Add to a parameter's gradient; if that is the first, the array itself becomes it, since nobody else has it."""
    if parameter.grad is not None or parameter.grad_memory is not None:
        parameter.accumulate_grad(gradient)
        return
    parameter.grad = Tensor.wrap(gradient)
    for hook in parameter.ready_hooks or ():
        hook(parameter)


def _blas_controller() -> Any:
    """What sets the number of BLAS's threads. It looks through all loaded libraries, so once is enough."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
