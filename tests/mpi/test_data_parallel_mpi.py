"""The same programs on real ranks: equal to one process, and bit-equal to the simulated world."""

import numpy as np
import pytest
from programs import data_parallel_cases as cases
from threadpoolctl import threadpool_limits

from parallel import simulate
from parallel.collectives.tree import broadcast
from parallel.studies import equivalence


def test_a_gpt_on_these_ranks_equals_one_process_and_the_simulation_bit_for_bit(comm):
    """Rows `k-ranks-run` and `bits`; every rank compares for itself."""
    with threadpool_limits(limits=1):
        here = equivalence.program(comm)
        one = equivalence.program()
        simulated = simulate(equivalence.program, ranks=comm.Get_size()).results[comm.Get_rank()]
    assert max(here.difference(one)) <= 1e-10
    np.testing.assert_array_equal(here.losses, simulated.losses)
    np.testing.assert_array_equal(here.parameters, simulated.parameters)


def test_broadcast(comm):
    for root in range(comm.Get_size()):
        x = np.full(7, float(comm.Get_rank()))
        broadcast(comm, x, root)
        np.testing.assert_array_equal(x, root)


def test_parameters_and_buffers_start_as_on_rank_0(comm):
    cases.check_everything_starts_as_on_rank_0(comm)
    cases.check_a_scalar_parameter_trains(comm)


@pytest.mark.parametrize("kind", cases.KINDS)
def test_models_that_differ_are_refused_on_every_rank(comm, kind):
    cases.check_different_models_are_refused(comm, kind)
