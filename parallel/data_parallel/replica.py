"""Data parallelism: every rank has the whole model and a part of the batch; their gradients are averaged.

The gradient of a mean over the batch is the mean of the gradients over its parts, weighted by the parts' sizes.
So ranks that start from equal parameters, add up their weighted gradients and take equal optimizer steps stay
equal for ever, and compute what one process with the whole batch would.

Gradients travel in buckets, and a bucket leaves while the backward of earlier layers goes on:

    main     | backward of layer 3 | layer 2 | layer 1 |            | step
    stream                         |= bucket 3 =|= 2 =||== bucket 1 |

Source: Li and others, PyTorch Distributed: Experiences on Accelerating Data Parallel Training, 2020, section 3.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from minigrad import optim
from minigrad.nn import Module, Parameter
from minigrad.optim.optimizer import Trainable
from minigrad.tensor import Tensor
from parallel.collectives import all_reduce
from parallel.collectives.auto import choose
from parallel.comm import clock, communication_stream
from parallel.comm.abort import end_job_on_exception
from parallel.data_parallel.bucket import Bucket, make_buckets
from parallel.data_parallel.same_model import copy_from_rank_0, refuse_different_models, refuse_gpu_model


class DataParallel:
    """A model copied to every rank of a communicator.

        replica = DataParallel(model, comm)
        with replica.no_sync():                  # gradient accumulation: all micro-batches but the last
            loss(micro_batches[0]).backward()
        replica.start_backward(share)            # without this call nothing overlaps; the numbers are the same
        loss(micro_batches[1]).backward()
        replica.average_gradients()
        optimizer.step()

    Gradients are made in the buckets: `.grad` of a parameter is a view of a flat array, which the next backward
    writes over.

    Args:
        model: rank 0's parameters and buffers are given to all ranks; it has the same names, shapes and dtypes on all.
        comm: a communicator, of mpi4py or simulated.
        bucket_mb: gradients travel in flat buckets of about this many megabytes (10^6 bytes).
        overlap: let them travel beside the backward, on a second stream; the results have the same bits either way.
        algorithm: of the all-reduce, see `parallel.collectives.all_reduce`. "auto" takes the fastest for the size and
            the machine, so name one, such as "ring", where the last bits shall be the same on every machine.

    Raises:
        ValueError: bucket_mb not positive, no such algorithm, a model without parameters, on a GPU, or one that is not
            the same on all ranks.

    Cost at the start: a broadcast of every array, and a ring all-reduce of p numbers.

    Cost per step: one all-reduce per bucket: with a ring 2 (p - 1) messages and 2 (p - 1) / p of the gradients' bytes
        per rank. For L equal layers, each with t s of backward and c s of all-reduce, behind a forward of T_f:
        T_f + L t + c if c <= t, else T_f + t + L c.
    """

    def __init__(
        self,
        model: Module,
        comm: Any,
        *,
        bucket_mb: float = 25.0,
        overlap: bool = True,
        algorithm: str = "auto",
    ) -> None:
        if not bucket_mb > 0.0:
            raise ValueError(f"bucket_mb={bucket_mb} must be positive")
        refuse_gpu_model(model)
        self.model, self.comm, self.algorithm = model, comm, algorithm
        choose(comm, 0, algorithm)  # refuses what is none
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.ranks, self.reports = self.size, self.rank == 0
        end_job_on_exception(comm)
        refuse_different_models(model, comm)
        copy_from_rank_0(model, comm)
        self.buckets = self.make_buckets(int(bucket_mb * 1e6))
        self.stream = communication_stream(comm) if overlap else None
        self._home = {id(parameter): bucket for bucket in self.buckets for parameter in bucket.parameters}
        self._hooked: set[int] = set()
        self._share: float | None = None  # of the backward that is under way; None when none is
        self._left = 0  # buckets that have left
        self._quiet = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.model(*args, **kwargs)

    # ------------------------------------------------------- what the sharded strategies do in another way

    def make_buckets(self, limit: int) -> list[Bucket]:
        """Which gradients travel together, in the order of leaving."""
        return make_buckets(list(self.model.parameters()), limit)

    def reduce(self, comm: Any, bucket: Bucket) -> None:
        """Let a bucket that holds weighted gradients hold their sum over all ranks."""
        all_reduce(comm, bucket.flat, algorithm=self.algorithm)

    def finish(self, bucket: Bucket) -> None:
        """Give the averaged gradients of a bucket to whoever updates the parameters."""
        bucket.give_back()

    # ---------------------------------------------------------------------------------------- averaging

    def start_backward(self, share: float | None = None) -> None:
        """The next backward is the last of this step: a bucket leaves as soon as all its gradients are complete.

        Args:
            share: as in `average_gradients`; it has to be known before anything leaves.
        """
        self._left = 0
        if self.stream is None:
            return
        self._share = 1.0 / self.size if share is None else share
        for bucket in self.buckets:
            trained = [parameter for parameter in bucket.parameters if parameter.requires_grad]
            bucket.missing = {id(parameter) for parameter in trained}
            self._hook(trained)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """A backward in this block adds to the gradients, and nothing leaves."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def average_gradients(self, share: float | None = None) -> None:
        """Replace every gradient by the weighted sum over the ranks. Call it between backward and step.

        Args:
            share: this rank's part of the global batch, so that the shares of all ranks add up to 1. Without it
                every rank counts 1 / p, which is right only for equal parts: a mean of means is not a mean.

        Raises:
            ValueError: another share than `start_backward` was given.
        """
        if self._share is None:
            self._left = 0
            self._share = 1.0 / self.size if share is None else share
        elif share not in (None, self._share):
            raise ValueError(f"share={share} differs from the {self._share} that start_backward was given")
        while self._left < len(self.buckets):
            self._let_leave(self.buckets[self._left])
        if self.stream is not None:
            self.stream.wait()
        for bucket in self.buckets:
            self.finish(bucket)
        self._share = None

    def _hook(self, parameters: Sequence[Parameter]) -> None:
        """Hear of complete gradients. The parameters outlive their replicas, and must not keep them alive."""
        reference = weakref.ref(self)

        def complete(parameter: Tensor) -> None:
            replica = reference()
            if replica is not None:
                replica._complete(parameter)

        for parameter in parameters:
            if id(parameter) not in self._hooked:
                parameter.register_post_accumulate_grad_hook(complete)
                self._hooked.add(id(parameter))

    def _complete(self, parameter: Tensor) -> None:
        """Let the buckets go that are complete now, in their order.

        The order is the same on all ranks, whatever the order in which gradients become complete: a bucket waits for
        those before it, and one with a parameter that this rank does not use leaves in `average_gradients`.
        """
        if self._share is None or self._quiet:
            return
        bucket = self._home[id(parameter)]
        if id(parameter) not in bucket.missing:
            raise RuntimeError(
                f"a second gradient of a parameter of shape {parameter.shape} came after start_backward(): call that "
                "before the last backward of a step, or run the others in no_sync()"
            )
        bucket.missing.discard(id(parameter))
        while self._left < len(self.buckets) and not self.buckets[self._left].missing:
            self._let_leave(self.buckets[self._left])

    def _let_leave(self, bucket: Bucket) -> None:
        assert self._share is not None
        self._left += 1
        bucket.gather(self._share)
        if self.stream is None:
            self.reduce(self.comm, bucket)
        else:
            self.stream.submit(lambda comm: self.reduce(comm, bucket))

    def close(self) -> None:
        """Give the second stream back; all ranks do this together. A program that ends need not."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    # --------------------------------------------------------------------- the rest of `minigrad.train.Replica`

    def make_optimizer(
        self, kind: type[optim.Optimizer], params: Any = None, **hyperparameters: Any
    ) -> optim.Optimizer:
        """One for all parameters, or for groups of them, which every rank has and updates alike."""
        return kind(self.model.parameters() if params is None else params, **hyperparameters)

    def shards(self) -> Sequence[Trainable]:
        """All parameters: every rank updates all of them."""
        return list(self.model.parameters())

    def clip_gradients(self, max_norm: float) -> float:
        """Clip by the norm of all gradients, which every rank has; returns that norm."""
        return optim.clip_grad_norm_(self.shards(), max_norm)

    def everywhere(self, condition: bool) -> bool:
        """The condition: every rank has the same averaged gradients."""
        return condition

    def whole(self) -> AbstractContextManager[Module]:
        """The model is whole on every rank."""
        return nullcontext(self.model)

    def now(self) -> float:
        """Seconds on this rank's clock."""
        return clock(self.comm)

    def mean(self, value: float, share: float | None = None) -> float:
        """The weighted mean of one number over the ranks, the same on all of them."""
        total = np.array([value * (1.0 / self.size if share is None else share)])
        all_reduce(self.comm, total, algorithm=self.algorithm)
        return float(total[0])
