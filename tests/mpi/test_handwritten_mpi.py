"""Every collective on real ranks: the cases of the simulation, its bits, and the results of MPI's own."""

import gc
import os
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI
from programs.handwritten_cases import DTYPES, all_checks, random_numbers, random_result, small_integers

from parallel import simulate
from parallel.collectives import COLLECTIVES, AllReducePlan, all_reduce, broadcast, gather_broadcast_all_reduce
from parallel.collectives.kept import kept_with
from parallel.collectives.registry import ALL_REDUCE
from parallel.collectives.ring import chunk

NAMES = list(COLLECTIVES)
SIZES = (0, 1, 3, 1000, 1024, 2048, 20_000, 70_000, 600_000, 1_700_000)  # every way of `auto`, and their borders


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_numpy(comm, name):
    all_checks(comm, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [5, 40_001])
def test_simulated_and_real_bits_are_equal(comm, name, n):
    # tolerance row: bits; 40,001 elements are beyond what MPI buffers
    simulated = simulate(random_result, comm.Get_size(), args=(name, n), trace=False).results[comm.Get_rank()]
    assert random_result(comm, name, n).tobytes() == simulated.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_collective_of_the_mpi_library(comm, name):
    n, p, rank = 1000, comm.Get_size(), comm.Get_rank()
    x = small_integers("float64")(rank, n)
    ours = np.ascontiguousarray(_ours(comm, name, x))
    theirs = np.zeros_like(ours)
    counts = [len(range(n)[chunk(n, p, r)]) for r in range(p)]
    match COLLECTIVES[name].kind:
        case "all_reduce":
            comm.Allreduce(x, theirs)
        case "scan":
            comm.Scan(x, theirs)
        case "reduce":
            comm.Reduce(x, theirs, root=0)
        case "broadcast":
            theirs[...] = x
            comm.Bcast(theirs, root=0)
        case "reduce_scatter":
            comm.Reduce_scatter(x, theirs, counts)
        case "all_gather":
            comm.Allgatherv(x[chunk(n, p, rank)], [theirs, counts])
        case "gather_blocks":
            comm.Allgather(x, theirs)
        case "all_to_all":
            comm.Alltoall(np.tile(x, p), theirs)
    if COLLECTIVES[name].kind != "reduce" or rank == 0:
        np.testing.assert_array_equal(ours, theirs)


def _ours(comm, name, x):
    """The result of one of ours, roots at 0."""
    collective, p = COLLECTIVES[name], comm.Get_size()
    mine = x.copy()
    if collective.kind == "gather_blocks":
        result = np.zeros((p, x.size))
        collective.function(comm, mine, result)
        return result
    if collective.kind == "all_to_all":
        result = np.zeros(p * x.size)
        collective.function(comm, np.tile(x, p), result)
        return result
    returned = collective.function(comm, mine)
    return returned if collective.kind == "reduce_scatter" else mine


# ---- all_reduce


@pytest.mark.parametrize("algorithm", ["auto", "shared_memory", *ALL_REDUCE])
def test_all_reduce_of_every_size(comm, algorithm):
    for n in SIZES:
        x = small_integers("float32")(comm.Get_rank(), n)
        for _ in range(2):  # once to make the plan, once with it
            y = x.copy()
            all_reduce(comm, y, algorithm=algorithm)
            np.testing.assert_array_equal(y, sum(small_integers("float32")(r, n) for r in range(comm.Get_size())))


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_reduce_of_every_dtype(comm, dtype):
    for shape in ((), (3, 4), (200, 300)):
        n = int(np.prod(shape))
        x = small_integers(dtype)(comm.Get_rank(), n).reshape(shape)
        all_reduce(comm, x, np.maximum)
        wanted = np.max([small_integers(dtype)(rank, n) for rank in range(comm.Get_size())], axis=0)
        np.testing.assert_array_equal(x, wanted.reshape(shape))


@pytest.mark.parametrize("n", [7, 1000, 70_001, 1_100_003])
def test_shared_memory_has_the_bits_of_the_simulated_naive_one(comm, n):
    # tolerance row: bits
    def naive(comm):
        x = random_numbers(comm.Get_rank(), n)
        gather_broadcast_all_reduce(comm, x)
        return x

    x = random_numbers(comm.Get_rank(), n)
    all_reduce(comm, x, algorithm="shared_memory")
    assert x.tobytes() == simulate(naive, comm.Get_size(), trace=False).results[0].tobytes()


def test_a_plan_of_persistent_requests_has_the_bits_of_the_function(comm):
    # tolerance row: bits; below and above what travels in one packet
    for n in (3, 900, 1024, 1999):
        x, y = random_numbers(comm.Get_rank(), n), random_numbers(comm.Get_rank(), n)
        plan = AllReducePlan(comm, x, algorithm="recursive_doubling")
        plan(x)
        ALL_REDUCE["recursive_doubling"](comm, y)
        assert x.tobytes() == y.tobytes()
        plan.free()


def test_one_call_after_the_other_does_not_disturb_it(comm):
    size, x = comm.Get_size(), np.empty(16_000, np.float32)
    for turn in range(1500):
        x[...] = turn + comm.Get_rank()
        all_reduce(comm, x, algorithm="shared_memory")
        assert x.min() == x.max() == sum(range(size)) + size * turn


@pytest.mark.parametrize("algorithm", ["recursive_doubling", "shared_memory"])
def test_the_lower_rank_comes_first(comm, algorithm):
    # subtraction tells; all-reduces are not meant for it, and with more ranks each has its own order
    if comm.Get_size() == 2:
        for n in (8, 1500, 100_000):
            x = np.full(n, 5.0 - 2.0 * comm.Get_rank())
            all_reduce(comm, x, np.subtract, algorithm)
            assert (x == 2.0).all()


def test_sizes_in_any_order_do_not_disturb_one_another(comm):
    # a rank that is ahead must not write where another one still reads
    rng = np.random.default_rng(0)
    late = np.random.default_rng([1, comm.Get_rank()])
    duplicate = comm.Dup()
    for turn in range(150):
        n = int(rng.choice([1, 10, 1000, 17_000, 70_000, 530_000, 1_100_000], p=[0.2, 0.2, 0.2, 0.2, 0.1, 0.05, 0.05]))
        x = np.full(n, comm.Get_rank() + turn, np.float32)
        for _ in range(late.integers(0, 2000)):
            pass
        all_reduce((comm, duplicate)[turn % 2], x, algorithm="shared_memory")
        assert (x == sum(range(comm.Get_size())) + comm.Get_size() * turn).all()
    duplicate.Free()


@pytest.mark.parametrize("n", [2, 50_000])
def test_sizes_that_differ_are_refused_on_all_ranks(comm, n):
    duplicate = comm.Dup()
    x = np.ones(n + (comm.Get_rank() == 1))
    with pytest.raises(ValueError, match=rf"rank {comm.Get_rank()}: all_reduce of .* with np.add: another rank"):
        all_reduce(duplicate, x, algorithm="shared_memory")
    y = np.ones(4)
    all_reduce(duplicate, y)  # and one can go on
    np.testing.assert_array_equal(y, np.full(4, comm.Get_size()))
    duplicate.Free()


def test_dtypes_and_operations_that_differ_are_refused_on_all_ranks(comm):
    first = comm.Get_rank() == 0
    with pytest.raises(ValueError, match="must be the same on all ranks"):
        all_reduce(comm, np.ones(4, np.float32 if first else np.int32), algorithm="shared_memory")
    with pytest.raises(ValueError, match="must be the same on all ranks"):
        all_reduce(comm, np.ones(4), np.add if first else np.maximum, "shared_memory")


def test_a_message_under_way_gets_on_while_a_rank_waits_in_shared_memory(comm):
    # rank 0 comes to the all-reduce before its large message has left; rank 1 receives it first
    big, x = np.ones(500_000), np.ones(8)
    if comm.Get_rank() == 0:
        request = comm.Isend(big, 1, 9)
        all_reduce(comm, x, algorithm="shared_memory")
        request.Wait()
    else:
        if comm.Get_rank() == 1:
            comm.Recv(big, 0, 9)
        all_reduce(comm, x, algorithm="shared_memory")
    assert (x == comm.Get_size()).all()


def test_mpi_is_called_while_a_rank_waits_in_shared_memory(comm, monkeypatch):
    # where large messages are copied piece by piece, the one above needs it; here they go in one copy by the receiver
    all_reduce(comm, np.ones(8), algorithm="shared_memory")
    calls = []

    class Counting:
        """A communicator on which only this is called."""

        def Iprobe(self):
            calls.append(comm.Iprobe())

    monkeypatch.setattr(kept_with(comm).memory, "comm", Counting())
    comm.Barrier()
    if comm.Get_rank() == 0:
        time.sleep(0.05)
    all_reduce(comm, np.ones(8), algorithm="shared_memory")
    assert comm.Get_rank() == 0 or calls


def test_what_is_kept_goes_with_the_communicator(comm):
    duplicate = comm.Dup()
    for algorithm in ("shared_memory", "ring", "recursive_doubling"):
        all_reduce(duplicate, np.ones(100), algorithm=algorithm)
    kept = kept_with(duplicate)
    assert len(kept.plans) == 3
    memory = weakref.ref(kept.memory)
    duplicate.Free()
    assert kept.plans == {}
    gc.collect()
    assert memory() is None
    assert not list(Path("/dev/shm").glob(f"minigrad-*{os.getpid()}*"))


def test_no_file_is_left_in_memory(comm):
    all_reduce(comm, np.ones(100), algorithm="shared_memory")
    comm.Barrier()
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if "minigrad-" in line]
    assert mapped
    assert all(line.endswith("(deleted)") for line in mapped)


def test_plans_are_kept_but_not_without_end(comm):
    duplicate = comm.Dup()
    for n in range(40):
        all_reduce(duplicate, np.ones(n), algorithm="recursive_doubling")
    assert len(kept_with(duplicate).plans) == 32
    duplicate.Free()


def test_a_short_message_is_refused(comm):
    if comm.Get_size() != 2:
        return  # with more ranks the others would wait for the one that raises
    if comm.Get_rank() == 0:
        broadcast(comm, np.ones(2))
    else:
        with pytest.raises(ValueError, match="rank 1: broadcast: rank 0 sent 16 bytes where this rank expects 32"):
            broadcast(comm, np.ones(4))


def test_mpi_itself_is_not_needed_for_its_types(comm):
    x = np.full(5, 1.5, np.float16)
    all_reduce(comm, x, algorithm="halving_doubling")
    assert x.dtype == np.float16
    assert (x == 1.5 * comm.Get_size()).all()
    assert isinstance(comm, MPI.Intracomm)
