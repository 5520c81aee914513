"""Every collective and every strategy as one program each: a row of the matrix program x ranks x world.

The columns are 1, 2, 3, 4, 5 and 8 simulated ranks, and 1 to 4 real ones: tests/mpi/test_bit_matrix_mpi.py compares the
two worlds, tests/parallel/test_bit_matrix.py sees to it that no row is missing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from parallel.collectives import COLLECTIVES, exchange_halos, shift
from parallel.server import SERVER, Synchronous, rule_update, serve, work
from programs import batch_norm_cases, collective_cases, hybrid_cases, sharded_cases, tensor_parallel_cases
from programs.handwritten_cases import random_numbers, random_result

Program = Callable[[Any], Any]


def moved(comm: Any) -> NDArray[Any]:
    """What comes round the ring."""
    x = random_numbers(comm.Get_rank(), 50)
    shift(comm, x)
    return x


def halos(comm: Any) -> NDArray[Any]:
    """Own rows between those of the neighbours."""
    x = random_numbers(comm.Get_rank(), 24).reshape(6, 4)
    exchange_halos(comm, x)
    return x


def served(comm: Any) -> NDArray[Any]:
    """Weights of the server, which waits for all workers, or those that a worker read last."""
    w, rank = random_numbers(0, 9), comm.Get_rank()
    if comm.Get_size() == 1:
        return w  # a server without workers
    if rank == SERVER:
        serve(comm, w, rule_update("adam", 0.1), Synchronous(), 5, 1)
    else:
        work(comm, w, lambda weights: np.sin(weights * rank), 1)
    return w


def in_a_pipeline(comm: Any) -> Any:
    """As many stages as ranks, at most the six layers that the model has."""
    part = comm.Split(comm.Get_rank() // 4, comm.Get_rank())
    return hybrid_cases.on_mesh(part, {"pp": part.Get_size()}, 3)


ROWS: dict[str, Program] = {
    **{name: partial(random_result, name=name, n=1000) for name in COLLECTIVES},
    "shift": moved,
    "exchange_halos": halos,
    # MPI's own, of whole numbers: a real MPI adds in an order of its own
    **{f"MPI {case.__name__}": partial(case, dtype="l") for case in collective_cases.CASES},
    "MPI logical": collective_cases.logical,
    "MPI objects": collective_cases.objects,
    **{name: partial(sharded_cases.train, strategy=name) for name in sharded_cases.STRATEGIES},
    "tp": partial(tensor_parallel_cases.on_ranks),
    "sequence parallel": partial(tensor_parallel_cases.on_ranks, sequence_parallel=True, gather_again=True),
    "ring attention": partial(tensor_parallel_cases.attention_on_ranks, length=11, causal=True, layout="zigzag"),
    "synchronous batch norm": batch_norm_cases.train,
    "pipeline": in_a_pipeline,
    "ps-sync": served,
}

# Which gradient a server applies first depends here on who is faster, and that is their point.
UNREPEATABLE = {"ps-async", "ps-ssp", "ps-window"}


def bits(comm: Any, row: str) -> Any:
    """What a row gives on this rank, in a form that can be compared; BLAS with one thread, as its sums depend on it."""
    with threadpool_limits(1):
        return collective_cases.exact(ROWS[row](comm))
