"""The contract of docs/simulated-world.md for collectives, rule by rule."""

import inspect
import operator
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import collective_cases, mpi_programs
from programs.collective_cases import CASES, DTYPES

from parallel import Cluster, clock, elapse, ring_all_reduce, simulate, spawn
from parallel.comm import MPI, MismatchError, mpi

ALPHA, BETA = 2.0, 0.125  # binary fractions, so that times can be compared exactly
CLUSTER = Cluster(alpha=ALPHA, beta=BETA, poll=0.5)
SIZES = (1, 2, 3, 4, 5, 8)


def run(program, ranks=2, cluster=CLUSTER, **keywords):
    return simulate(program, ranks, cluster, **keywords)


def on_rank(*programs):
    """The program whose rank r runs programs[r]."""
    return lambda comm: programs[comm.Get_rank()](comm)


def place(function, text=""):
    """file:line of the line of `function` that contains `text`."""
    lines, first = inspect.getsourcelines(function)
    return f"{Path(__file__).name}:{first + next(i for i, line in enumerate(lines) if text in line)}"


def log2_up(p):
    return int(np.ceil(np.log2(p)))


# ---- rule 33: one meeting, one price


@pytest.mark.parametrize("ranks", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_rule_33_results_are_the_naive_ones(case, ranks):
    for dtype in DTYPES:
        run(case, ranks, args=(dtype,))


@pytest.mark.parametrize("ranks", SIZES)
def test_rule_33_results_of_truth_values_pairs_and_objects(ranks):
    run(collective_cases.logical, ranks)
    run(collective_cases.objects, ranks)


@pytest.mark.parametrize("ranks", SIZES)
def test_rule_33_programs_in_the_manner_of_mpi4py(ranks):
    for program in mpi_programs.PROGRAMS:
        first = run(program, ranks)
        assert first.results == run(program, ranks, fidelity="collective").results
        assert first.messages == 0


# For x of n bytes on p ranks: the call, and its closed form written out again.
PRICES = {
    "Barrier": (lambda c, x: c.Barrier(), lambda p, n, L: L * ALPHA),
    "Bcast": (
        lambda c, x: c.Bcast(x, root=c.size - 1),
        lambda p, n, L: min(L * (ALPHA + n * BETA), (L + p - 1) * ALPHA + 2 * (p - 1) / p * n * BETA),
    ),
    "Reduce": (
        lambda c, x: c.Reduce(x, np.empty_like(x)),
        lambda p, n, L: min(L * (ALPHA + n * BETA), 2 * L * ALPHA + 2 * (p - 1) / p * n * BETA),
    ),
    "Allreduce": (
        lambda c, x: c.Allreduce(x, np.empty_like(x)),
        lambda p, n, L: min(
            (L if p == 2**L else L + 1) * (ALPHA + n * BETA), 2 * (p - 1) * (ALPHA + n / p * BETA)
        ),
    ),
    "Reduce_scatter_block": (
        lambda c, x: c.Reduce_scatter_block(x, np.empty(x.size // c.size)),
        lambda p, n, L: (p - 1) * (ALPHA + n / p * BETA),
    ),
    "Scan": (lambda c, x: c.Scan(x, np.empty_like(x)), lambda p, n, L: L * (ALPHA + n * BETA)),
    "Gather": (
        lambda c, x: c.Gather(x[: x.size // c.size].copy(), x),
        lambda p, n, L: L * ALPHA + (p - 1) / p * n * BETA,
    ),
    "Scatterv": (
        lambda c, x: c.Scatterv(x, x[: x.size // c.size].copy()),
        lambda p, n, L: L * ALPHA + (p - 1) / p * n * BETA,
    ),
    "Allgather": (
        lambda c, x: c.Allgather(MPI.IN_PLACE, x),
        lambda p, n, L: L * ALPHA + (p - 1) / p * n * BETA,
    ),
    "Alltoall": (
        lambda c, x: c.Alltoall(MPI.IN_PLACE, x),
        lambda p, n, L: min(L * (ALPHA + n / 2 * BETA), (p - 1) * (ALPHA + n / p * BETA)),
    ),
}


@pytest.mark.parametrize("name", PRICES)
def test_rule_33_all_go_on_together_when_the_price_is_paid(name):
    # tolerance row: virtual-time
    call, price = PRICES[name]

    def program(comm, n):
        elapse(comm, float(comm.rank))
        call(comm, np.zeros(n))
        return clock(comm)

    for p in SIZES:
        for n in (p, 120 * p):
            seconds = price(p, 8 * n, log2_up(p))
            assert run(program, p, args=(n,)).results == pytest.approx([p - 1 + seconds] * p, rel=1e-12)


def test_rule_33_the_price_is_that_of_the_worst_link_among_the_members():
    class Uneven(Cluster):
        def worst_link(self, ranks=None):
            return (16.0, 0.0) if 3 in ranks else (1.0, 0.0)

    def program(comm):
        part = comm.Split(comm.rank // 2)
        part.Barrier()
        return clock(comm)

    assert simulate(program, 4, Uneven()).results == [1.0, 1.0, 16.0, 16.0]


def test_rule_33_a_span_for_each_rank():
    def program(comm):
        elapse(comm, float(comm.rank))
        comm.Allreduce(np.zeros(1), np.zeros(1))
        comm.Iallreduce(np.zeros(1), np.zeros(1)).Wait()

    spans = [(s.rank, s.name, s.start, s.end) for s in run(program).spans if s.kind == "collective"]
    assert sorted(spans) == [
        (0, "Allreduce", 0.0, 4.0), (0, "Iallreduce", 4.0, 7.0),
        (1, "Allreduce", 1.0, 4.0), (1, "Iallreduce", 4.0, 7.0),
    ]  # fmt: skip


# ---- rules 34 to 37


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIZES), st.integers(0, 9), st.integers(0, 2**32), st.sampled_from(["float32", "float64"]))
def test_rule_34_reductions_add_in_the_order_of_the_ranks(p, n, seed, dtype):
    # tolerance row: bits
    x = np.random.default_rng(seed).standard_normal((p, n)).astype(dtype)
    delays = np.random.default_rng(seed + 1).random(p)

    def program(comm):
        elapse(comm, float(delays[comm.rank]))
        y = x[comm.rank].copy()
        comm.Allreduce(MPI.IN_PLACE, y)
        return y

    expected = x[0].copy()
    for row in x[1:]:
        expected = expected + row
    assert all(result.tobytes() == expected.tobytes() for result in run(program, p).results)


def test_rule_35_objects_are_copies_and_cost_their_bytes():
    shared = {"weights": [1, 2]}

    def program(comm):
        told = comm.bcast(shared)
        everybody = comm.allgather(shared)
        summed = comm.allreduce([shared], op=operator.add)
        return told, *everybody, *summed

    results = run(program, 3).results
    copies = [one for result in results for one in result]
    assert all(copy == shared for copy in copies)
    assert len({id(copy["weights"]) for copy in [*copies, shared]}) == len(copies) + 1
    small, large = (run(lambda comm, n=n: comm.bcast(bytes(n))).time for n in (1000, 3000))
    assert large - small == pytest.approx(2000 * BETA, rel=1e-12)


def test_rule_35_an_operation_that_changes_its_argument_spoils_nobody_elses_result():
    def program(comm):
        return comm.scan([comm.rank], op=lambda first, second: first.extend(second) or first)

    assert run(program, 4).results == [list(range(rank + 1)) for rank in range(4)]


def test_rule_36_a_started_collective_ends_after_the_last_arrival_and_its_price():
    def program(comm):
        elapse(comm, float(comm.rank))
        y = np.zeros(4)
        request = comm.Iallreduce(np.full(4, float(comm.rank)), y)
        started = clock(comm)
        elapse(comm, 1.0)
        untouched = y.tolist()
        tested = request.Test()
        request.Wait()
        return started, tested, clock(comm), y.tolist(), untouched

    price = ALPHA + 32 * BETA
    results = run(program).results
    assert [result[0] for result in results] == [0.0, 1.0]
    assert [result[1] for result in results] == [False, False]
    assert [result[2] for result in results] == [1.0 + price] * 2
    assert [result[3] for result in results] == [[1.0] * 4] * 2
    assert results[0][4] == [0.0] * 4


def test_rule_36_the_buffers_are_read_when_the_last_has_come():
    def program(comm):
        x, y = np.full(1, 1.0), np.zeros(1)
        elapse(comm, 5.0 * comm.rank)
        request = comm.Iallreduce(x, y)
        if comm.rank == 0:
            x[0] = 10.0  # which MPI forbids; here the mistake shows
        request.Wait()
        x[0] = 100.0
        return y[0]

    assert run(program).results == [11.0, 11.0]


def test_rule_36_a_test_succeeds_at_the_end():
    def program(comm):
        elapse(comm, 100.0 * comm.rank)
        request = comm.Ibarrier()
        while not request.Test():
            pass
        return clock(comm)

    assert run(program).results == [102.0, 102.0]


def test_rule_36_blocking_never_meets_non_blocking():
    with pytest.raises(MismatchError, match=r"rank 1 calls Barrier .* where rank 0 calls Ibarrier"):
        run(on_rank(lambda comm: comm.Ibarrier().Wait(), lambda comm: comm.Barrier()))


def test_rule_37_collectives_under_way_at_once_follow_one_another():
    # L equal layers, backward t, all-reduce c each: c <= t gives L t + c, else t + L c. Tolerance row: virtual-time.
    layers, n = 5, 8

    def program(comm, t):
        requests = []
        for _ in range(layers):
            elapse(comm, t)
            requests.append(comm.Iallreduce(MPI.IN_PLACE, np.zeros(n)))
        MPI.Request.Waitall(requests)

    c = 2 * (ALPHA + 64 * BETA)  # four ranks, doubling
    for t in (0.5 * c, c, 3.0 * c):
        expected = layers * t + c if c <= t else t + layers * c
        assert run(program, 4, args=(t,)).times == pytest.approx([expected] * 4, rel=1e-12)


def test_rule_37_ports_are_shared_with_messages_and_with_other_streams():
    price = ALPHA + 8 * BETA

    def messages(comm):
        other, x = 1 - comm.rank, np.zeros(1)
        requests = [comm.Irecv(x, other), comm.Isend(np.ones(1), other)]
        comm.Allreduce(MPI.IN_PLACE, np.zeros(1))
        at = clock(comm)
        MPI.Request.Waitall(requests)
        return at

    def streams(comm):
        beside = spawn(comm, lambda duplicate: duplicate.Allreduce(MPI.IN_PLACE, np.zeros(1)))
        comm.Barrier()  # holds no port
        comm.Allreduce(MPI.IN_PLACE, np.zeros(1))
        beside.join()

    assert run(messages).results == [2 * price] * 2
    assert run(streams).times == [2 * price] * 2


@pytest.mark.parametrize("spawned_first", [True, False])
def test_rule_37_a_collective_takes_the_ports_in_its_turn_in_virtual_time(spawned_first):
    price = ALPHA + 8 * BETA

    def exchange(duplicate):
        elapse(duplicate, 5.0)
        other = 1 - duplicate.rank
        duplicate.Sendrecv(np.ones(1), other, 0, np.ones(1), other, 0)
        return clock(duplicate)

    def reduce_late(comm):
        elapse(comm, 5.0 + price / 2 + comm.rank / 8)
        comm.Allreduce(MPI.IN_PLACE, np.zeros(1))
        return clock(comm)

    def program(comm):
        beside, main = (exchange, reduce_late) if spawned_first else (reduce_late, exchange)
        handle = spawn(comm, beside)
        return sorted([main(comm), handle.join()])

    assert run(program).results == [[5.0 + price, 5.0 + 2 * price]] * 2


# ---- rule 38


def hand_written(comm, x, name="halve and add"):
    """A collective as parallel.collectives has them: messages, or one event."""
    if comm.fidelity == "message":
        y = np.empty_like(x)
        other = 1 - comm.rank
        comm.Sendrecv(x, other, 0, y, other, 0)
        x += y
    else:

        def combine(contributions):
            total = contributions[0] + contributions[1]
            for contribution in contributions:
                contribution[...] = total

        comm.whole_collective(f"{name} {x.size}", x, combine, lambda p, alpha, beta: alpha + x.nbytes * beta)


def test_rule_38_both_fidelities_give_the_same_results_and_times():
    def program(comm):
        x = np.full(3, comm.rank + 1.0)
        hand_written(comm, x)
        return x.tolist(), clock(comm)

    message, collective = (run(program, fidelity=fidelity) for fidelity in ("message", "collective"))
    assert message.results == collective.results == [([3.0] * 3, ALPHA + 24 * BETA)] * 2
    assert (message.messages, collective.messages) == (2, 0)


def test_rule_38_what_must_agree_is_in_the_name():
    def program(comm):
        hand_written(comm, np.zeros(3 + comm.rank))

    with pytest.raises(MismatchError) as caught:
        run(program, fidelity="collective")
    inner = place(hand_written, "comm.whole_collective")
    text = f"rank 1 calls halve and add 4 ({inner}) where rank 0 calls halve and add 3 ({inner})"
    assert text in str(caught.value)


def test_rule_38_the_same_collective_on_other_arrays_is_not_called_another_operation():
    with pytest.raises(MismatchError, match=r"all_reduce\(3 float64, add\).*differ in what stands in parentheses"):
        run(lambda comm: ring_all_reduce(comm, np.zeros(3 + comm.rank)), fidelity="collective")


def test_rule_38_no_other_fidelity():
    with pytest.raises(ValueError, match=r"fidelity='exact' must be one of message, collective"):
        run(lambda comm: None, fidelity="exact")


# ---- rule 40: MPI


def test_rule_40_comm_world_is_the_rank_that_asks():
    def program(comm):
        world = MPI.COMM_WORLD
        row = world.Split(world.rank % 2)
        beside = spawn(row, lambda duplicate: MPI.COMM_WORLD is comm).join()
        comm.Barrier()
        return world is comm, beside, MPI.COMM_WORLD.Get_rank(), MPI.COMM_SELF.Get_size(), MPI.Wtime() == clock(comm)

    assert run(program, 4).results == [(True, True, rank, 1, True) for rank in range(4)]


def test_rule_40_outside_a_simulated_rank_it_is_mpi4py():
    code = (
        "from parallel.comm import MPI\nimport sys\nassert 'mpi4py' not in sys.modules\n"
        "from mpi4py import MPI as theirs\n"
        "assert MPI.COMM_WORLD is theirs.COMM_WORLD and MPI.SUM is theirs.SUM and MPI.IN_PLACE is theirs.IN_PLACE\n"
        "from parallel import simulate\nimport numpy as np\n"
        "def program(comm):\n"
        "    x = np.array([comm.rank + 1.0, -comm.rank])\n"
        "    comm.Allreduce(theirs.IN_PLACE, [x, theirs.DOUBLE], op=theirs.MAX)\n"
        "    assert MPI.SUM is not theirs.SUM\n"
        "    pair = np.zeros(1, np.dtype('d,i', align=True))\n"
        "    pair['f1'] = comm.rank\n"
        "    comm.Allreduce(theirs.IN_PLACE, [pair, 1, theirs.DOUBLE_INT], theirs.MAXLOC)\n"
        "    return x.tolist(), int(pair['f1'][0]), comm.allreduce(comm.rank, theirs.SUM)\n"
        "assert simulate(program, 3).results == [([3.0, 0.0], 0, 3)] * 3\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_rule_40_names_that_are_not_simulated():
    with pytest.raises(AttributeError, match=r"MPI\.Win is not simulated"):
        run(lambda comm: MPI.Win, 1)
    assert {"SUM", "COMM_WORLD", "DOUBLE", "Wtime"} <= set(dir(MPI))
    assert MPI is mpi
