"""No row is missing from the matrix program x ranks x world, and its simulated columns are repeatable."""

import pytest
from programs.bit_matrix import ROWS, UNREPEATABLE, bits
from programs.collective_cases import CASES

from minigrad.commands.train_servings import SERVINGS
from minigrad.commands.train_strategies import STRATEGIES
from parallel import collectives, simulate
from parallel.collectives import COLLECTIVES
from parallel.comm.sim_collectives import SimCollectives

NO_ALGORITHM_OF_ITS_OWN = {"COLLECTIVES", "AllReducePlan", "all_reduce", "two_levels"}


def test_every_collective_and_every_strategy_has_a_row():
    public = set(collectives.__all__) - NO_ALGORITHM_OF_ITS_OWN
    rows = {*ROWS, *UNREPEATABLE}
    for registry in (COLLECTIVES, public, STRATEGIES, SERVINGS, [f"MPI {case.__name__}" for case in CASES]):
        assert set(registry) <= rows


def test_every_collective_of_mpis_own_is_called_by_a_row(monkeypatch):
    # `Barrier` moves nothing, and the calls that do not wait have the same sides as those that do.
    names = {name for name in vars(SimCollectives) if name[0].isupper() and name[0] != "I"} - {"Barrier"}
    called = set()

    def noting(name, call):
        return lambda *args, **keywords: (called.add(name), call(*args, **keywords))[1]

    for name in names:
        monkeypatch.setattr(SimCollectives, name, noting(name, getattr(SimCollectives, name)))
    for row in (row for row in ROWS if row.startswith("MPI ")):
        simulate(bits, 2, args=(row,))
    assert called == names


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("row", ROWS)
def test_a_simulated_cell_is_repeatable(row, ranks):
    """Row `bits`."""
    first, second = (simulate(bits, ranks, args=(row,), trace=False).results for _ in range(2))
    assert first == second
