"""The rules of docs/simulated-world.md on parts of the world, clusters that are not uniform, and ranks that fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel import Cluster, clock, elapse, new_status, simulate, spawn
from parallel.comm import DeadlockError, UnfinishedError
from parallel.comm.deadlock import SHOWN, find_cycle
from parallel.comm.errors import Waiting
from parallel.comm.lost import listen_for_lost_ranks
from parallel.comm.request import Request

ALPHA, BETA = 2.0, 0.125  # binary fractions, so that times can be compared exactly


def failing(**moments):
    """A cluster whose ranks fail: failing(rank1=3.0)."""
    failures = {int(name.removeprefix("rank")): moment for name, moment in moments.items()}
    return Cluster(alpha=ALPHA, beta=BETA, poll=0.5, failures=failures)


def cost(nbytes):
    return ALPHA + BETA * nbytes


def array(*values):
    return np.array(values, np.int64)


# ---- parts of the world


def test_rule_17_a_part_has_ranks_of_its_own_and_the_ports_of_the_world():
    def program(comm):
        part = comm.Split(comm.rank % 2, -comm.rank)  # 2, 0 and 3, 1
        x = array(0)
        part.Sendrecv(array(comm.rank), 1 - part.rank, 0, x, 1 - part.rank)
        elapse(part, 1.0)
        return part.rank, int(x[0]), clock(comm)

    cluster = Cluster(alpha=ALPHA, beta=BETA, speeds=(1, 1, 1, 0.5))
    expected = [(1, 2, cost(8) + 1), (1, 3, cost(8) + 1), (0, 0, cost(8) + 1), (0, 1, cost(8) + 2)]
    assert simulate(program, 4, cluster).results == expected


def test_rule_17_messages_of_a_part_meet_no_others():
    def program(comm):
        part = comm.Split(0)
        if comm.rank == 0:
            first = comm.Isend(array(1), 1)
            part.Send(array(2), 1)
            first.Wait()
            return None
        x, y = array(0), array(0)
        part.Recv(x)
        comm.Recv(y)
        return int(x[0]), int(y[0])

    assert simulate(program, 2).results[1] == (2, 1)


def test_rule_17_a_status_has_ranks_of_the_part():
    def program(comm):
        part = comm.Split(comm.rank // 2)
        if part.rank:
            return part.Send(array(1), 0)
        status, x = new_status(comm), array(0)
        part.Probe(status=status)
        seen = status.source
        part.Recv(x, status=status)
        return seen, status.source

    assert simulate(program, 4).results == [(1, 1), None] * 2


# ---- shared ports


class Crossroads(Cluster):
    """Messages to a higher rank pass through port 0, the others through ports 0 and 1; each pair has its alpha."""

    uniform = False
    shared_ports = 2

    def route(self, source, dest):
        return (float(source + 1), 0.0, (0,) if source < dest else (0, 1))


def test_rule_26_a_message_waits_until_all_its_ports_are_free():
    def program(comm):
        if comm.rank == 0:
            comm.Send(array(1), 1)
        elif comm.rank == 1:
            comm.Recv(array(0), 0)
        elif comm.rank == 2:
            elapse(comm, 0.5)
            comm.Recv(array(0), 3)
        else:
            elapse(comm, 0.5)
            comm.Send(array(1), 2)

    assert simulate(program, 4, Crossroads()).times == [1.0, 1.0, 5.0, 5.0]


@settings(max_examples=40)
@given(st.data())
def test_rule_26_transfers_are_those_of_a_plain_calendar(data):
    # The oracle: a list of transfers in the order of their matches; each begins when the last of its ports is free.
    # All receives are posted at 0, so that a match is at the time of its send.
    ranks, ports = 6, 3
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 9)), max_size=6))
    pairs = [(source, dest, at) for source, dest, at in pairs if source != dest]
    through = {
        (source, dest): tuple(sorted(data.draw(st.sets(st.integers(0, ports - 1)))))
        for source, dest in sorted({pair[:2] for pair in pairs})
    }

    class Drawn(Cluster):
        uniform = False
        shared_ports = ports

        def route(self, source, dest):
            return 3.0, 0.0, through[source, dest]

    pairs = sorted(pairs, key=lambda pair: (pair[2], pair[0]))
    free = {}
    expected = []
    for tag, (source, dest, at) in enumerate(pairs):
        needed = [("out", source), ("in", dest), *through[source, dest]]
        start = max([float(at), *(free.get(port, 0.0) for port in needed)])
        free |= dict.fromkeys(needed, start + 3.0)
        expected.append((tag, start, start + 3.0))

    def program(comm):
        mine = [(source, tag) for tag, (source, dest, _) in enumerate(pairs) if dest == comm.rank]
        requests = [comm.Irecv(array(0), *pattern) for pattern in mine]
        for tag, (source, dest, at) in enumerate(pairs):
            if source == comm.rank:
                elapse(comm, at - clock(comm))
                requests.append(comm.Isend(array(1), dest, tag))
        Request.Waitall(requests)

    spans = [span for span in simulate(program, ranks, Drawn()).spans if span.kind == "send"]
    assert sorted((span.tag, span.start, span.end) for span in spans) == expected


# ---- stragglers


class Drawing:
    """A law that answers what it has drawn."""

    def factor(self, generator, rank):
        return float(generator.integers(1, 100)) * 10 ** (3 * rank)


def test_rule_27_every_elapse_draws_once_from_the_ranks_own_generator():
    def program(comm):
        moments = []
        for _ in range(4):
            before = clock(comm)
            elapse(comm, 2.0)
            moments.append(clock(comm) - before)
        return moments

    cluster = Cluster(stragglers=Drawing(), seed=5, speeds=(1.0, 0.5))
    expected = []
    for rank, speed in enumerate(cluster.speeds):
        generator = np.random.default_rng([5, rank])
        expected.append([2.0 * float(generator.integers(1, 100)) * 10 ** (3 * rank) / speed for _ in range(4)])
    assert simulate(program, 2, cluster).results == expected


# ---- failures


def test_rule_28_a_rank_stops_for_ever_and_the_others_go_on():
    acts = []

    def program(comm):
        for _ in range(5):
            elapse(comm, 1.0)
            comm.Iprobe()  # an act
            acts.append((comm.rank, clock(comm)))
        return "ended"

    simulation = simulate(program, 2, failing(rank1=3.0))
    assert simulation.results == ["ended", None]
    assert simulation.failed == {1: 3.0}
    assert simulation.times == [7.5, 3.0]
    assert max(time for rank, time in acts if rank == 1) <= 3.0
    assert all(span.end <= 3.0 for span in simulation.spans if span.rank == 1)


@pytest.mark.parametrize("waiting", [False, True])
def test_rule_28_who_listens_gets_a_message_and_is_not_held_up_by_what_it_sends(waiting):
    """Two sends wait for the lost rank when it fails; a third that waits for another rank is not touched."""

    def program(comm):
        if comm.rank == 1:
            elapse(comm, 10.0)
        if comm.rank == 2:
            elapse(comm, 5.0)
            comm.Recv(array(0), 0)
        if comm.rank > 0:
            return None
        failed = listen_for_lost_ranks(comm, 7, np.int64)
        other, beside = comm.Isend(array(1), 2), comm.Isend(array(1), 1, 3)
        if waiting:
            comm.Send(array(1), 1)
        beside.Wait()
        assert (clock(comm), failed()) == (3.0, {1})
        status = new_status(comm)
        comm.Recv(array(0), tag=7, status=status)
        other.Wait()
        return status.Get_source(), status.Get_count(), clock(comm)

    assert simulate(program, 3, failing(rank1=3.0)).results[0] == (1, 0, 5.0 + cost(8))


def test_rule_28_listening_helps_nobody_else():
    def program(comm):
        if comm.rank == 0:
            listen_for_lost_ranks(comm, 7, np.int64)
            comm.Recv(array(0), tag=7)
        elif comm.rank == 1:
            elapse(comm, 10.0)
        else:
            comm.Send(array(1), 1)

    with pytest.raises(DeadlockError) as caught:
        simulate(program, 3, failing(rank1=3.0))
    assert [wait.rank for wait in caught.value.waiting] == [2]


def test_rule_28_who_waits_for_it_is_told_when_it_failed():
    def program(comm):
        elapse(comm, 2.0)
        if comm.rank == 0:
            comm.Send(array(1), 1)
        elif comm.rank == 1:
            elapse(comm, 2.0)
            comm.Recv(array(0), 0)
        else:
            comm.Recv(array(0), 0)

    with pytest.raises(DeadlockError) as caught:
        simulate(program, 3, failing(rank1=3.5))
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines[1].startswith("rank 0 waits in Send to 1 tag 0 (")
    assert lines[2].startswith("rank 2 waits in Recv from 0 any tag (")
    assert lines[3:] == ["rank 1 failed at 3.5 s"]
    assert caught.value.failed == {1: 3.5}
    assert [wait.rank for wait in caught.value.waiting] == [0, 2]


def test_rule_28_what_it_has_posted_and_nobody_has_answered_is_gone():
    def program(comm):
        if comm.rank == 1:
            comm.Send(array(1), 0)  # nobody receives it until the rank has failed
        if comm.rank == 2:
            elapse(comm, 5.0)
            comm.Send(array(2), 0)
        if comm.rank == 0:
            elapse(comm, 4.0)
            x = array(0)
            comm.Recv(x)
            return int(x[0])
        return None

    assert simulate(program, 3, failing(rank1=3.0)).results[0] == 2


def test_rule_28_a_message_that_was_matched_before_still_arrives():
    def program(comm):
        if comm.rank == 1:
            comm.Isend(array(1), 0).Wait()
        else:
            x = array(0)
            comm.Recv(x)
            return int(x[0]), clock(comm)
        return None

    simulation = simulate(program, 2, failing(rank1=0.5))
    assert simulation.results == [(1, cost(8)), None]
    assert simulation.times == [cost(8), 0.5]


def test_rule_28_all_streams_of_the_rank_stop_and_its_finally_blocks_run_at_the_end():
    unwound = []

    def program(comm):
        try:
            beside = spawn(comm, lambda duplicate: duplicate.Recv(array(0)))
            elapse(comm, 10.0)
            beside.join()
        finally:
            unwound.append((comm.rank, clock(comm)))

    def lonely(comm):
        return program(comm) if comm.rank else None

    simulation = simulate(lonely, 2, failing(rank1=2.0))
    assert simulation.times == [0.0, 2.0]
    assert [rank for rank, _ in unwound] == [1]


@pytest.mark.parametrize("how", ["returns", "raises"])
def test_rule_28_a_rank_that_would_end_later_has_failed_before(how):
    def program(comm):
        elapse(comm, 10.0)
        if comm.rank and how == "raises":
            raise KeyError("never")
        return "ended"

    simulation = simulate(program, 2, failing(rank1=2.0))
    assert (simulation.results, simulation.failed, simulation.times) == (["ended", None], {1: 2.0}, [10.0, 2.0])


def test_rule_28_a_rank_that_has_ended_does_not_fail():
    simulation = simulate(lambda comm: elapse(comm, 1.0) or "ended", 2, failing(rank1=2.0))
    assert (simulation.results, simulation.failed, simulation.time) == (["ended"] * 2, {}, 1.0)


def test_rule_28_what_happens_at_the_very_moment_does_not_happen():
    def program(comm):
        elapse(comm, 2.0)
        comm.Sendrecv(array(comm.rank), comm.rank, 0, array(0), comm.rank)
        return "sent"

    assert simulate(program, 2, failing(rank1=2.0)).results == ["sent", None]
    assert simulate(program, 2, failing(rank1=2.5)).results == ["sent", "sent"]


def test_rule_28_requests_of_a_failed_rank_are_not_held_against_it():
    def program(comm):
        comm.Irecv(array(0), 1 - comm.rank, 3) if comm.rank else None
        elapse(comm, 5.0)

    assert simulate(program, 2, failing(rank1=1.0)).failed == {1: 1.0}
    with pytest.raises(UnfinishedError, match="rank 1 never waited for Irecv from 0 tag 3"):
        simulate(program, 2)


def test_rule_28_a_failure_is_repeatable_with_stragglers():
    def program(comm):
        done = 0
        try:
            for _ in range(50):
                elapse(comm, 1.0)
                comm.Iprobe()
                done += 1
        finally:
            counts[comm.rank] = done

    runs = []
    for _ in range(2):
        counts = {}
        cluster = Cluster(stragglers=Drawing(), failures={0: 900.0}, seed=1)
        simulation = simulate(program, 1, cluster)
        runs.append((counts, simulation.times, simulation.spans))
    assert runs[0] == runs[1]
    assert 0 < runs[0][0][0] < 50


# ---- circles


def waits(**peers):
    """Waiting(rank) for each of peers: waits(r0=(1, 2))."""
    return [Waiting(int(name[1:]), 0, "Recv", targets, "") for name, targets in peers.items()]


@pytest.mark.parametrize(
    ("waiting", "cycle"),
    [
        (waits(r0=(1,), r1=(0,)), (0, 1)),
        (waits(r0=(1,), r1=(2,), r2=(1,)), (1, 2)),
        (waits(r0=(3,), r3=(1,), r1=(0,)), (0, 3, 1)),
        (waits(r0=(0,)), (0,)),
        (waits(r0=(1,), r1=(2,)), ()),
        (waits(r0=(), r1=(0,)), ()),
        (waits(r0=(1, 2), r1=(), r2=(0,)), (0, 2)),
        ([Waiting(0, 0, "join of stream 1", (0,), ""), Waiting(0, 1, "Recv", (1,), "")], ()),
        ([], ()),
    ],
)
def test_rule_41_the_circle_is_found(waiting, cycle):
    assert find_cycle(waiting) == cycle


@settings(max_examples=60)
@given(st.dictionaries(st.integers(0, 6), st.sets(st.integers(0, 6), max_size=3), max_size=7))
def test_rule_41_a_circle_is_one_and_is_found_if_there_is_one(graph):
    waiting = [Waiting(rank, 0, "Recv", tuple(sorted(peers)), "") for rank, peers in graph.items()]
    cycle = find_cycle(waiting)
    for rank, following in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        assert following in graph[rank]
    left = {rank: set(peers) for rank, peers in graph.items()}
    while gone := [rank for rank, peers in left.items() if not peers & set(left)]:  # Kahn's algorithm
        for rank in gone:
            del left[rank]
    assert bool(cycle) == bool(left)


def test_rule_41_a_cell_of_a_notebook_has_its_number(tmp_path):
    pytest.importorskip("nbclient", reason="nbclient is not installed (extra: docs)")
    import nbformat
    from nbclient import NotebookClient

    first = "import numpy as np\nfrom parallel import simulate"
    second = "def program(comm):\n    comm.Recv(np.zeros(1))\n\n"
    second += "try:\n    simulate(program, 2)\nexcept RuntimeError as error:\n    print(error)"
    cells = [nbformat.v4.new_code_cell(text) for text in (first, second)]
    notebook = NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3").execute()
    assert "rank 1 waits in Recv from any rank any tag (In[2]:2)" in notebook.cells[1].outputs[0].text


def test_rule_41_a_long_report_is_cut_and_its_data_is_not():
    ranks = 100

    def program(comm):
        comm.Recv(array(0), (comm.rank + 1) % comm.size)

    with pytest.raises(DeadlockError) as caught:
        simulate(program, ranks)
    lines = str(caught.value).splitlines()
    assert len(lines) == SHOWN + 3
    assert "and 68 more wait" in lines[-2]
    assert "0 -> 1 -> 2" in lines[-1]
    assert lines[-1].endswith("-> 98 -> 99 -> 0")
    assert len(lines[-1]) < 300
    assert len(caught.value.waiting) == len(caught.value.cycle) == ranks
