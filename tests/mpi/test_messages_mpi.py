"""Messages on real ranks: what each program sees there is what it sees in the simulation."""

import numpy as np
import pytest
from mpi4py import MPI
from programs import message_cases as cases

from parallel import simulate


@pytest.mark.parametrize("program", cases.PROGRAMS)
def test_a_program_sees_the_same_in_both_worlds(comm, program):
    simulated = simulate(program, comm.Get_size(), args=(MPI,)).results[comm.Get_rank()]
    assert program(comm, MPI) == simulated


@pytest.mark.parametrize("name", cases.BAD_CALLS)
def test_a_bad_call_is_refused_in_both_worlds(comm, name):
    call = cases.BAD_CALLS[name]
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError, BufferError, OverflowError, MPI.Exception)):
        call(comm, MPI)
    with pytest.raises((ValueError, TypeError, AttributeError)):
        simulate(lambda simulated: call(simulated, MPI), comm.Get_size())


def test_truncation_is_told_in_both_worlds(comm):
    simulated = simulate(cases.truncated, comm.Get_size()).results
    assert cases.truncated(comm) == simulated[comm.Get_rank()]
    assert simulated[:2] == ["none", "truncated"]


def test_a_request_of_mpi4py_and_ours_agree_on_what_is_inactive(comm):
    request = comm.Isend(np.zeros(1), MPI.PROC_NULL)
    request.Wait()
    assert (request.Wait(), request.Test()) == (True, True)
