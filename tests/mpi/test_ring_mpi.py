"""The ring on real ranks: the cases of tests/parallel/test_ring.py, and the bits of the simulation."""

import numpy as np
import pytest
from programs.ring_cases import (
    DTYPES,
    LENGTHS,
    SHAPES,
    check_all_reduce,
    check_halves,
    check_same_bits,
    random_sum,
)

from parallel import simulate


@pytest.mark.parametrize("n", LENGTHS)
def test_sum_of_any_length(comm, n):
    check_all_reduce(comm, (n,), "float64")
    check_halves(comm, n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_of_any_dtype(comm, dtype):
    check_all_reduce(comm, (7,), dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_sum_of_any_shape(comm, shape):
    check_all_reduce(comm, shape, "float32")


@pytest.mark.parametrize("n", [1001, 300_000])
def test_all_ranks_end_with_the_same_bits(comm, n):
    # tolerance row: bits; 300,000 elements are beyond what MPI buffers
    check_same_bits(comm, n)


@pytest.mark.parametrize("n", [5, 1001])
def test_simulated_and_real_bits_are_equal(comm, n):
    # tolerance row: bits
    simulated = simulate(random_sum, comm.Get_size(), args=(n,)).results[comm.Get_rank()]
    assert random_sum(comm, n).tobytes() == simulated.tobytes()


def test_agrees_with_the_all_reduce_of_the_mpi_library(comm):
    # tolerance row: same-math; the library may add in another order
    x = np.random.default_rng(comm.Get_rank()).standard_normal(1000)
    theirs = np.empty_like(x)
    comm.Allreduce(x, theirs)
    from parallel import ring_all_reduce

    ring_all_reduce(comm, x)
    np.testing.assert_allclose(x, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())
