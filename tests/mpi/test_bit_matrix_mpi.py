"""The matrix program x ranks x world: every collective and every strategy has the same bits in both worlds."""

import pytest
from programs.bit_matrix import ROWS, bits

from parallel import simulate


@pytest.mark.parametrize("row", ROWS)
def test_both_worlds_have_the_same_bits(comm, row):
    """Row `bits`; one rank simulates for all."""
    first = comm.Get_rank() == 0
    simulated = simulate(bits, comm.Get_size(), args=(row,), trace=False).results if first else None
    assert bits(comm, row) == comm.scatter(simulated)
