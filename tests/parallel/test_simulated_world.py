"""The contract of docs/simulated-world.md, rule by rule; a test's name begins with the number of its rule.

The later rules are in the other files named test_simulated_*.py.
"""

import contextvars
import gc
import inspect
import re
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel import Cluster, clock, elapse, region, ring_all_reduce, simulate, spawn
from parallel.comm import (
    ANY_SOURCE,
    ANY_TAG,
    DeadlockError,
    MessageError,
    MismatchError,
    RankExit,
    SimComm,
    UnfinishedError,
    new_status,
    world,
)
from parallel.comm.not_simulated import INSTEAD

CONTRACT = Path(__file__).parents[2] / "docs" / "simulated-world.md"
ALPHA, BETA = 2.0, 0.125  # binary fractions, so that times can be compared exactly
CLUSTER = Cluster(alpha=ALPHA, beta=BETA, poll=0.5)


def run(program, ranks=2, cluster=CLUSTER, **keywords):
    return simulate(program, ranks, cluster, **keywords)


def on_rank(*programs):
    """The program whose rank r runs programs[r]."""
    return lambda comm: programs[comm.Get_rank()](comm)


def cost(nbytes):
    return ALPHA + BETA * nbytes


def array(*values):
    return np.array(values, np.int64)


def receive(comm, source=ANY_SOURCE, tag=ANY_TAG, size=1):
    x = np.full(size, -1)
    comm.Recv(x, source, tag)
    return x.tolist() if size != 1 else int(x[0])


def line_of(function, text):
    """file:line of the line of `function` that contains `text`."""
    lines, first = inspect.getsourcelines(function)
    return f"{Path(__file__).name}:{first + next(i for i, line in enumerate(lines) if text in line)}"


def test_every_rule_has_a_test():
    rules = re.findall(r"\*\*Rule (\d+)\.\*\*", CONTRACT.read_text(encoding="utf-8"))
    files = Path(__file__).parent.glob("test_simulated_*.py")
    tested = {number for file in files for number in re.findall(r"^def test_rule_(\d+)_", file.read_text(), re.M)}
    assert [int(rule) for rule in rules] == list(range(1, len(rules) + 1))
    assert {f"{int(rule):02d}" for rule in rules} == tested


# ---- matching


def test_rule_01_tags_and_sources_select():
    def sender(comm):
        requests = [comm.Isend(array(10 * comm.rank + tag), 0, tag) for tag in (1, 2)]
        for request in requests:
            request.Wait()

    def receiver(comm):
        elapse(comm, 1.0)  # all four lie in the mailbox
        return [receive(comm, *pattern) for pattern in ((2, 2), (ANY_SOURCE, 2), (2, ANY_TAG))] + [receive(comm)]

    assert run(on_rank(receiver, sender, sender), 3).results[0] == [22, 12, 21, 11]


def test_rule_01_duplicates_keep_their_messages_apart():
    def program(comm):
        other = comm.Dup()
        if comm.rank == 0:
            first = comm.Isend(array(1), 1)
            other.Send(array(2), 1)
            first.Wait()
            return None
        return receive(other), receive(comm)

    assert run(program).results[1] == (2, 1)


def test_rule_01_a_spawned_stream_keeps_its_messages_apart():
    def program(comm):
        if comm.rank == 0:
            first = comm.Isend(array(1), 1)
            spawn(comm, lambda duplicate: duplicate.Send(array(2), 1)).join()
            first.Wait()
            return None
        return spawn(comm, receive).join(), receive(comm)

    assert run(program).results[1] == (2, 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=8), st.data())
def test_rule_02_messages_do_not_overtake(tags, data):
    patterns = data.draw(st.permutations([tag if data.draw(st.booleans()) else ANY_TAG for tag in tags]))
    sent = list(enumerate(tags))
    expected = []
    for pattern in patterns:  # the oracle: the first that fits
        found = next((item for item in sent if pattern in (ANY_TAG, item[1])), None)
        if found is None:
            return  # this order of receives does not fit these sends
        sent.remove(found)
        expected.append(found[0])

    def sender(comm):
        for request in [comm.Isend(array(i), 1, tag) for i, tag in enumerate(tags)]:
            request.Wait()

    def late_receiver(comm):
        elapse(comm, 1.0)
        return [receive(comm, 0, pattern) for pattern in patterns]

    assert run(on_rank(sender, late_receiver)).results[1] == expected


def test_rule_02_receives_are_taken_in_the_order_of_posting():
    def receiver(comm):
        x = [np.zeros(1, np.int64) for _ in range(3)]
        requests = [comm.Irecv(x[0], 0, 7), comm.Irecv(x[1], 0, ANY_TAG), comm.Irecv(x[2], ANY_SOURCE, 5)]
        type(requests[0]).Waitall(requests)
        return [int(y[0]) for y in x]

    def sender(comm):
        elapse(comm, 1.0)
        for value, tag in ((1, 5), (2, 5), (3, 7)):
            comm.Send(array(value), 1, tag)

    assert run(on_rank(sender, receiver)).results[1] == [3, 1, 2]


def test_rule_03_any_source_takes_the_earliest_then_the_lowest_rank():
    delays = {1: 3.0, 2: 1.0, 3: 3.0, 4: 0.5}

    def program(comm):
        if comm.rank == 0:
            elapse(comm, 10.0)
            return [receive(comm) for _ in delays]
        elapse(comm, delays[comm.rank])
        comm.Send(array(comm.rank), 0)
        return None

    assert run(program, 5).results[0] == [4, 2, 1, 3]


def test_rule_03_a_waiting_receive_takes_who_comes_first_in_virtual_time():
    def program(comm):
        if comm.rank == 0:
            return [receive(comm), receive(comm)]
        elapse(comm, 9.0 / comm.rank)
        comm.Send(array(comm.rank), 0)
        return None

    assert run(program, 3).results[0] == [2, 1]


@pytest.mark.parametrize("name", ["Send", "Ssend"])
def test_rule_04_a_send_waits_for_its_receive(name):
    def sender(comm):
        getattr(comm, name)(array(1), 1)
        return clock(comm)

    def receiver(comm):
        elapse(comm, 5.0)
        receive(comm)

    assert run(on_rank(sender, receiver)).results[0] == 5.0 + cost(8)


def test_rule_05_the_payload_is_read_at_the_match():
    def sender(comm):
        x = array(1)
        request = comm.Isend(x, 1)
        x[0] = 2
        request.Wait()
        x[0] = 3

    def receiver(comm):
        elapse(comm, 1.0)
        x = array(0)
        comm.Recv(x, 0)
        elapse(comm, 9.0)
        return int(x[0])

    assert run(on_rank(sender, receiver)).results[1] == 2


def test_rule_06_short_messages_and_statuses():
    def receiver(comm):
        x, status = np.full((2, 3), 9), new_status(comm)
        comm.Recv(x, ANY_SOURCE, ANY_TAG, status)
        request = comm.Irecv(np.zeros(1, np.int64))
        other = new_status(comm)
        request.Wait(other)
        return x.tolist(), [(s.Get_source(), s.Get_tag(), s.Get_count()) for s in (status, other)]

    def sender(comm):
        comm.Send(array(1, 2, 3, 4), 1, tag=6)
        comm.Send(array(5), 1, tag=7)

    filled, statuses = run(on_rank(sender, receiver)).results[1]
    assert filled == [[1, 2, 3], [4, 9, 9]]
    assert statuses == [(0, 6, 32), (0, 7, 8)]


def test_rule_07_a_message_that_does_not_fit_fails_the_receiver_alone():
    def sender(comm):
        comm.Send(array(1, 2, 3), 1, 4)
        comm.Send(array(1), 1)
        return "sent"

    def receiver(comm):
        x = array(7, 7)
        with pytest.raises(
            MessageError,
            match="rank 1: Recv from any rank tag 4: message truncated: it has 24 bytes, the buffer 16",
        ):
            comm.Recv(x, tag=4)
        with pytest.raises(MessageError, match="the message is int64, the buffer float32"):
            comm.Recv(np.zeros(1, np.float32), 0)
        return x.tolist()

    for late in (0.0, 1.0):  # whoever posts last makes the match; the receiver must get the error
        def delayed(comm, late=late):
            elapse(comm, late)
            return receiver(comm)

        assert run(on_rank(sender, delayed)).results == ["sent", [7, 7]]


def test_rule_07_sendrecv_and_wait_report_it_too():
    def program(comm):
        other = 1 - comm.rank
        with pytest.raises(MessageError, match="Sendrecv from"):
            comm.Sendrecv(array(1, 2), other, 0, array(0), other, 0)
        request = comm.Irecv(array(0), other)
        comm.Send(array(1, 2), other) if comm.rank else None
        if comm.rank == 0:
            with pytest.raises(MessageError, match="Irecv from 1"):
                request.Wait()
            comm.Send(array(1), 1)
        else:
            request.Wait()

    run(program)


def test_rule_08_a_message_to_oneself_is_free():
    def program(comm):
        x = array(0, 0)
        comm.Sendrecv(array(4, 5), comm.rank, 0, x, comm.rank, 0)
        request = comm.Irecv(x[:1], comm.rank)
        comm.Send(array(6), comm.rank)
        request.Wait()
        return x.tolist(), clock(comm)

    assert run(program, 1).results == [([6, 5], 0.0)]


def test_rule_08_a_blocking_send_to_oneself_is_a_deadlock():
    with pytest.raises(DeadlockError, match="rank 0 waits in Send to 0 tag 0"):
        run(lambda comm: comm.Send(array(1), 0), 1)


def test_rule_09_an_empty_message_costs_alpha():
    def program(comm):
        empty = np.empty(0)
        comm.Send(empty, 1) if comm.rank == 0 else comm.Recv(empty, 0)

    simulation = run(program)
    assert simulation.times == [ALPHA, ALPHA]
    assert simulation.messages == 1


# ---- time


def test_rule_18_clocks_begin_at_zero_and_posting_is_free():
    def program(comm):
        start = clock(comm)
        x = array(0)
        request = comm.Irecv(x, 1 - comm.rank)
        other = comm.Isend(array(1), 1 - comm.rank)
        posted = clock(comm)
        request.Wait()
        other.Wait()
        return start, posted

    assert run(program).results == [(0.0, 0.0), (0.0, 0.0)]


@pytest.mark.parametrize(("send_at", "receive_at"), [(0.0, 3.0), (3.0, 0.0), (1.0, 1.0)])
def test_rule_19_a_transfer_begins_at_the_later_post(send_at, receive_at):
    def sender(comm):
        elapse(comm, send_at)
        comm.Send(array(1, 2), 1)

    def receiver(comm):
        elapse(comm, receive_at)
        receive(comm, size=2)

    simulation = run(on_rank(sender, receiver))
    begin = max(send_at, receive_at)
    assert simulation.times == [begin + cost(16)] * 2
    transfers = [span for span in simulation.spans if span.kind in ("send", "recv")]
    assert [(s.rank, s.start, s.end, s.bytes, s.peer) for s in transfers] == [
        (0, begin, begin + cost(16), 16, 1),
        (1, begin, begin + cost(16), 16, 0),
    ]


def test_rule_19_the_cluster_prices_each_link():
    class Uneven(Cluster):
        uniform = False

        def route(self, source, dest):
            return (1.0, 0.0, ()) if source < dest else (10.0, 0.0, ())

    def program(comm):
        other = 1 - comm.rank
        comm.Sendrecv(array(1), other, 0, array(0), other, 0)
        return clock(comm)

    simulation = simulate(program, 2, Uneven())
    ends = {span.rank: span.end for span in simulation.spans if span.kind == "recv"}
    assert ends == {1: 1.0, 0: 10.0}


def test_rule_20_the_in_port_takes_one_message_at_a_time():
    def program(comm):
        if comm.rank == 0:
            for _ in range(3):
                receive(comm)
        else:
            comm.Send(array(1), 0)

    assert run(program, 4).times == [3 * cost(8), cost(8), 2 * cost(8), 3 * cost(8)]


def test_rule_20_posted_receives_do_not_widen_the_in_port():
    def program(comm):
        if comm.rank == 0:
            requests = [comm.Irecv(array(0), source) for source in (1, 2, 3)]
            type(requests[0]).Waitall(requests)
        else:
            comm.Send(array(1), 0)

    assert run(program, 4).time == 3 * cost(8)


def test_rule_20_the_out_port_takes_one_message_at_a_time():
    def program(comm):
        if comm.rank == 0:
            requests = [comm.Isend(array(1), dest) for dest in (1, 2, 3)]
            type(requests[0]).Waitall(requests)
        else:
            receive(comm, 0)

    assert run(program, 4).times == [3 * cost(8), cost(8), 2 * cost(8), 3 * cost(8)]


def test_rule_20_both_ports_work_at_once_and_pairs_do_not_disturb_each_other():
    def program(comm):
        other = comm.rank ^ 1
        comm.Sendrecv(array(1), other, 0, array(0), other, 0)

    assert run(program, 6).times == [cost(8)] * 6


def test_rule_20_ports_are_given_in_the_order_of_matches_without_filling_gaps():
    # 1 sends 10 elements to 0 (in-port of 0 busy). Then 2 sends to 0 and must wait, its out-port reserved; then 2
    # sends to 3, whose in-port is free: it waits all the same, behind its elder.
    def program(comm):
        if comm.rank == 0:
            receive(comm, 1, size=10)
            return
        if comm.rank == 1:
            comm.Send(np.zeros(10, np.int64), 0)
        if comm.rank == 2:
            elapse(comm, 1.0)
            requests = [comm.Isend(array(1), 4, 0), comm.Isend(array(1), 3)]
            type(requests[0]).Waitall(requests)
        if comm.rank == 3:
            receive(comm, 2)
        if comm.rank == 4:
            request = comm.Irecv(np.zeros(10, np.int64), 5)
            other = comm.Irecv(array(0), 2)
            type(request).Waitall([request, other])
        if comm.rank == 5:
            comm.Send(np.zeros(10, np.int64), 4)

    times = run(program, 6).times
    assert times[4] == cost(80) + cost(8)
    assert times[3] == cost(80) + 2 * cost(8)


def test_rule_20_streams_share_their_ranks_ports():
    def exchange(comm):
        other = 1 - comm.rank
        comm.Sendrecv(array(1), other, 0, array(0), other, 0)

    def program(comm):
        beside = spawn(comm, exchange)
        exchange(comm)
        beside.join()

    assert run(program).times == [2 * cost(8)] * 2


@pytest.mark.parametrize("ranks", [2, 3, 5, 8])
def test_rule_21_a_ring_step_costs_one_transfer(ranks):
    def program(comm):
        right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
        for _ in range(3):
            comm.Sendrecv(array(1, 2), right, 0, array(0, 0), left, 0)

    assert run(program, ranks).times == [3 * cost(16)] * ranks


def test_rule_22_waiting_costs_only_what_is_left():
    def program(comm):
        other = 1 - comm.rank
        x = array(0)
        requests = [comm.Irecv(x, other), comm.Isend(array(1), other)]
        elapse(comm, 1.0)
        requests[0].Wait()
        first = clock(comm)
        elapse(comm, 10.0)
        type(requests[0]).Waitall(requests)
        return first, clock(comm)

    assert run(program).results == [(cost(8), cost(8) + 10.0)] * 2


def test_rule_22_waiting_twice_is_allowed():
    def program(comm):
        request = comm.Isend(array(1), 1) if comm.rank == 0 else comm.Irecv(array(0), 0)
        return request.Wait(), request.Wait(), request.Test()

    assert run(program).results == [(True, True, True)] * 2


def test_rule_23_elapse_divides_by_the_ranks_speed():
    simulation = run(lambda comm: elapse(comm, 3.0), 2, Cluster(speeds=(1.0, 0.5)))
    assert simulation.times == [3.0, 6.0]
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be finite and 0 or more"):
            run(lambda comm, bad=bad: elapse(comm, bad), 1)


def test_rule_23_spans_of_elapse_have_names():
    def program(comm):
        elapse(comm, 1.0, "load")
        with region(comm, "F3"):
            elapse(comm, 2.0)

    assert [(s.name, s.start, s.end, s.kind) for s in run(program, 1).spans] == [
        ("load", 0.0, 1.0, "compute"),
        ("F3", 1.0, 3.0, "compute"),
    ]


def test_rule_24_a_failed_test_costs_a_poll_and_a_successful_one_nothing():
    def sender(comm):
        elapse(comm, 1.0)
        comm.Send(array(5), 1)

    def receiver(comm):
        x = array(0)
        request = comm.Irecv(x, 0)
        moments = []
        while not request.Test():
            moments.append(clock(comm))
            elapse(comm, 0.25)  # work between the tests
        return moments, clock(comm), request.Test(), clock(comm)

    moments, end, again, later = run(on_rank(sender, receiver)).results[1]
    assert moments == [0.5, 1.25, 2.0, 2.75, 3.5, 4.25]  # the transfer ends at 4.0
    assert (end, again, later) == (4.5, True, 4.5)


def test_rule_24_failed_tests_in_a_row_are_wound_forward_to_the_same_result():
    def sender(comm):
        elapse(comm, 1000.2)
        comm.Send(array(5), 1)

    def receiver(comm):
        request, failed = comm.Irecv(array(0), 0), 0
        while not request.Test():
            failed += 1
        return failed, clock(comm)

    failed, end = run(on_rank(sender, receiver)).results[1]
    assert failed <= 5  # instead of two thousand
    assert end == np.ceil((1000.2 + cost(8)) / 0.5) * 0.5


def send_to_oneself(comm):
    comm.Isend(array(1), comm.rank).Wait()  # a receive lies ready


def post_a_receive(comm):
    comm.Irecv(array(0), comm.rank)  # the simulation ends with an error before this is missed


def dup_alone(comm):
    comm.Dup()


@pytest.mark.parametrize("between", [send_to_oneself, post_a_receive, dup_alone])
def test_rule_24_what_lies_between_two_tests_ends_the_row(between):
    moments = []

    def program(comm):
        beside = spawn(comm, lambda duplicate: elapse(duplicate, 100.0) or duplicate.Dup())  # an event at 100 s
        ready = comm.Irecv(array(0), 0, 0)
        request = comm.Irecv(array(0), 0, 1)
        assert not request.Test()
        between(comm)
        assert not request.Test()
        moments.append(clock(comm))
        comm.Send(array(0), 0, 1)
        request.Wait()
        if between is not send_to_oneself:
            comm.Send(array(1), 0)
        ready.Wait()
        beside.join()

    if between is post_a_receive:
        with pytest.raises(UnfinishedError):
            run(program, 1)
    else:
        run(program, 1)
    assert moments == [1.0]


@pytest.mark.parametrize(("ranks", "rounds"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3)])
def test_rule_25_a_barrier_ends_after_the_last_arrival(ranks, rounds):
    def program(comm):
        elapse(comm, float(comm.rank))
        comm.Barrier()
        comm.Dup()
        return clock(comm)

    assert run(program, ranks).results == [ranks - 1 + rounds * ALPHA] * ranks


# ---- order


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5), min_size=1, max_size=5))
def test_rule_29_things_happen_in_the_order_of_virtual_time(delays):
    order = []

    def program(comm):
        for delay in delays[comm.rank]:
            elapse(comm, float(delay))
            request = comm.Irecv(array(0), comm.rank)
            order.append((clock(comm), comm.rank))
            comm.Send(array(1), comm.rank)
            request.Wait()

    run(program, len(delays))
    assert order == sorted(order)


def test_rule_30_runs_are_repeatable():
    def program(comm):
        rng = np.random.default_rng(comm.rank)
        for _ in range(20):
            elapse(comm, float(rng.exponential()))
            if comm.rank == 0:
                for _ in range(comm.size - 1):
                    receive(comm)
            else:
                comm.Send(array(comm.rank), 0)
        return clock(comm)

    first, second = run(program, 5), run(program, 5)
    assert (first.results, first.times, first.spans) == (second.results, second.times, second.spans)


def test_rule_31_streams_run_side_by_side():
    def program(comm):
        elapse(comm, 1.0)

        def beside(duplicate):
            start = clock(duplicate)
            elapse(duplicate, 5.0, "beside")
            return start, duplicate.Get_rank()

        handle = spawn(comm, beside)
        elapse(comm, 2.0, "main")
        before = clock(comm)
        return handle.join(), before, clock(comm)

    simulation = run(program)
    assert simulation.results == [((1.0, rank), 3.0, 6.0) for rank in range(2)]
    assert {(s.stream, s.name) for s in simulation.spans} >= {(0, "main"), (1, "beside")}


def test_rule_31_spawn_does_not_wait_for_other_ranks():
    def program(comm):
        elapse(comm, 10.0 * comm.rank)
        handle = spawn(comm, lambda duplicate: receive(duplicate) if comm.rank else duplicate.Send(array(3), 1))
        moment = clock(comm)
        return moment, handle.join()

    assert run(program).results == [(0.0, None), (10.0, 3)]


def test_rule_31_the_same_stream_number_serves_again_after_join():
    def program(comm):
        for _ in range(3):
            spawn(comm, lambda duplicate: elapse(duplicate, 1.0)).join()

    simulation = run(program, 1)
    assert simulation.time == 3.0
    assert {span.stream for span in simulation.spans if span.kind == "compute"} == {1}


def test_rule_31_overlap_of_backward_and_all_reduce():
    # tolerance row: virtual-time. L equal layers, backward t and all-reduce c each, c <= t: L t + c in all.
    layers, t = 4, 100.0
    n = 16

    def program(comm):
        handles = []
        for _ in range(layers):
            elapse(comm, t)
            handles.append(spawn(comm, lambda duplicate: ring_all_reduce(duplicate, np.ones(n))))
        for handle in handles:
            handle.join()

    c = 2 * 3 * cost(8 * n / 4)
    assert c <= t
    assert run(program, 4).time == pytest.approx(layers * t + c, rel=1e-12)


def test_rule_32_every_stream_has_its_own_copy_of_the_context():
    mode = contextvars.ContextVar("mode", default="none")
    mode.set("callers")

    def program(comm):
        seen = [mode.get()]
        mode.set(f"rank {comm.rank}")
        comm.Barrier()
        seen.append(mode.get())

        def beside(duplicate):
            inherited = mode.get()
            mode.set("stream")
            duplicate.Barrier()
            return inherited

        seen.append(spawn(comm, beside).join())
        seen.append(mode.get())
        return seen

    assert run(program).results == [["callers", *[f"rank {rank}"] * 3] for rank in range(2)]
    assert mode.get() == "callers"


# ---- what goes wrong


def send_first(comm):
    comm.Send(array(1), (comm.rank + 1) % comm.size)
    receive(comm)


def test_rule_41_everybody_sends_first():
    with pytest.raises(DeadlockError) as caught:
        run(send_first, 3)
    place = line_of(send_first, "comm.Send")
    lines = [f"rank {rank} waits in Send to {(rank + 1) % 3} tag 0 ({place})" for rank in range(3)]
    assert [line.strip() for line in str(caught.value).splitlines()] == [
        "deadlock: no rank can go on",
        *lines,
        "they wait in a circle: 0 -> 1 -> 2 -> 0",
    ]
    assert [(w.rank, w.peers, w.where) for w in caught.value.waiting] == [
        (rank, ((rank + 1) % 3,), place) for rank in range(3)
    ]
    assert caught.value.cycle == (0, 1, 2)


def test_rule_41_every_kind_of_waiting_is_described():
    def program(comm):
        if comm.rank == 0:
            comm.Recv(array(0), tag=3)
        elif comm.rank == 1:
            type(request := comm.Irecv(array(0), 2)).Waitall([request, comm.Isend(array(0), 0, 4)])
        elif comm.rank == 2:
            comm.Barrier()
        elif comm.rank == 3:
            comm.Sendrecv(array(1), 4, 1, array(1), 5, 2)
        elif comm.rank == 4:
            spawn(comm, lambda duplicate: duplicate.Recv(array(0), 5, 9)).join()

    with pytest.raises(DeadlockError) as caught:
        run(program, 6)
    text = str(caught.value)
    for part in (
        "rank 0 waits in Recv from any rank tag 3 (test_simulated_world.py:",
        "rank 1 waits in Waitall for Irecv from 2 any tag, Isend to 0 tag 4 (",
        "rank 2 waits in Barrier for ranks 0, 1, 3, 4, 5 (",
        "rank 3 waits in Sendrecv from 5 tag 2, Sendrecv to 4 tag 1 (",
        "rank 4 waits in join of stream 1 (",
        "rank 4 stream 1 waits in Recv from 5 tag 9 in world/spawn0 (",
        "ended already: rank 5",
    ):
        assert part in text


def test_rule_41_only_the_part_that_is_missing_is_named():
    def program(comm):
        if comm.rank == 0:
            comm.Sendrecv(array(1), 1, 0, array(0), 1, 8)
        else:
            receive(comm, 0)

    with pytest.raises(DeadlockError) as caught:
        run(program)
    assert [(w.rank, w.call) for w in caught.value.waiting] == [(0, "Sendrecv from 1 tag 8")]


def test_rule_41_inside_a_collective_both_lines_are_named():
    def program(comm):
        if comm.rank == 0:
            ring_all_reduce(comm, np.ones(4))

    with pytest.raises(DeadlockError) as caught:
        run(program, 3)
    assert re.search(
        rf"rank 0 waits in Sendrecv .* \({line_of(program, 'ring_all')}, in ring\.py:\d+\)", str(caught.value)
    )


def test_rule_41_an_exception_that_waits_in_a_finally_is_the_cause():
    def program(comm):
        try:
            if comm.rank == 1:
                raise KeyError("mine")
            receive(comm)
        finally:
            comm.Barrier()

    with pytest.raises(DeadlockError, match="rank 1 waits in Barrier for rank 0") as caught:
        run(program)
    assert repr(caught.value.__cause__) == "KeyError('mine')"


def test_rule_42_the_exception_of_a_rank_leaves_simulate_with_its_rank():
    unwound = []

    def program(comm):
        try:
            elapse(comm, 1.0)
            if comm.rank == 2:
                raise KeyError("mine")
            receive(comm)
        finally:
            if comm.rank != 2:
                unwound.append(comm.rank)
                comm.Barrier()  # cannot hang: nobody communicates any more
                unwound.append("never")

    with pytest.raises(KeyError, match="mine") as caught:
        run(program, 4)
    assert caught.value.__notes__ == ["raised by rank 2 of 4"]
    assert caught.traceback[-1].name == "program"
    assert unwound == [0, 1]


def test_rule_42_all_others_are_ended_where_they_stand():
    unwound = []

    def program(comm):
        try:
            elapse(comm, 1.0 + comm.rank)
            if comm.rank == 2:
                raise KeyError("mine")
            receive(comm)
        finally:
            unwound.append(comm.rank)

    with pytest.raises(KeyError):
        run(program, 4)
    assert sorted(unwound) == [0, 1, 2]  # rank 3 had not begun to wait: it was ended before its first act


def test_rule_42_a_stream_that_raises_is_named():
    def program(comm):
        spawn(comm, lambda duplicate: 1 / 0).join()

    with pytest.raises(ZeroDivisionError) as caught:
        run(program)
    assert caught.value.__notes__ == ["raised by rank 0 of 2, stream 1"]


def test_rule_42_nothing_is_left_alive():
    class Token:
        pass

    tokens = []

    def program(comm):
        token = Token()
        tokens.append(weakref.ref(token))
        if comm.rank == 1:
            raise KeyError("mine")
        spawn(comm, lambda duplicate: receive(duplicate))
        receive(comm)

    for _ in range(3):
        try:
            run(program, 4)
        except KeyError as error:
            error.__traceback__ = None
    del _
    gc.collect()
    assert len(tokens) >= 6
    assert all(token() is None for token in tokens)


@pytest.mark.parametrize("status", [None, 0])
def test_rule_42_a_rank_may_leave_by_sys_exit(status):
    def program(comm):
        if comm.rank == 1:
            sys.exit(status)
        return comm.rank

    assert run(program, 3).results == [0, None, 2]


def test_rule_42_who_waits_for_a_rank_that_has_left_is_told():
    def program(comm):
        if comm.rank == 1:
            sys.exit()
        comm.Barrier()

    with pytest.raises(DeadlockError, match="ended already: rank 1"):
        run(program, 3)


@pytest.mark.parametrize(("status", "text"), [(3, "3"), ("no data", "'no data'")])
def test_rule_42_a_rank_that_leaves_with_a_status_is_named(status, text):
    with pytest.raises(RankExit, match=rf"^rank 1 ended with sys.exit\({text}\)(\n|$)") as caught:
        run(lambda comm: sys.exit(status) if comm.rank == 1 else comm.Barrier(), 3)
    assert caught.value.status == (3 if status == 3 else 1)


def test_rule_42_a_communicator_is_its_ranks_own():
    outcomes = []

    def in_another_thread(comm):
        def work():
            try:
                comm.Barrier()
            except RuntimeError as error:
                outcomes.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    run(in_another_thread)
    assert len(outcomes) == 2
    assert all("was used by another thread, or inside another simulation" in outcome for outcome in outcomes)
    with pytest.raises(RuntimeError, match="rank 0: its communicator was used by another thread, or inside another"):
        run(lambda comm: run(lambda inner: comm.Barrier()))


@pytest.mark.parametrize("fault", [DeadlockError, KeyboardInterrupt, RankExit])
def test_rule_42_a_simulation_can_follow_a_failed_one(fault):
    def program(comm):
        if fault is DeadlockError:
            receive(comm)
        if comm.rank == 1:
            raise SystemExit(2) if fault is RankExit else fault
        receive(comm)

    with pytest.raises(fault):
        run(program)
    assert run(lambda comm: comm.rank).results == [0, 1]


def test_rule_43_requests_never_waited_for():
    def program(comm):
        if comm.rank == 0:
            comm.Isend(array(1), 1, 5)  # received, but never completed
            comm.Isend(array(1), 1, 6)  # never received
        else:
            receive(comm, 0, 5)
            comm.Irecv(array(0), 0, 7)

    with pytest.raises(UnfinishedError) as caught:
        run(program)
    first = line_of(program, "1, 5)  #")
    second = line_of(program, "1, 6)  #")
    third = line_of(program, "0, 7)")
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        f"rank 0 never waited for Isend to 1 tag 5 ({first})",
        f"rank 0 never waited for Isend to 1 tag 6 ({second}), and nobody answered it",
        f"rank 1 never waited for Irecv from 0 tag 7 ({third}), and nobody answered it",
    ]


def test_rule_43_streams_never_joined():
    with pytest.raises(UnfinishedError, match="rank 1 never joined stream 1"):
        run(lambda comm: spawn(comm, lambda duplicate: None) if comm.rank else None)


BAD_CALLS = [
    (lambda comm: comm.Send(array(1), 7), ValueError, r"Send\(dest=7, tag=0\): dest must be a rank .* 0 to 1"),
    (lambda comm: comm.Send(array(1), -1), ValueError, r"dest=-1.*must be a rank"),
    (lambda comm: comm.Send(array(1), 0, -2), ValueError, r"tag=-2.*the tag of a send must be 0 or more"),
    (lambda comm: comm.Send(array(1), 0, ANY_TAG), ValueError, "the tag of a send must be 0 or more"),
    (lambda comm: comm.Isend(array(1), "next"), TypeError, r"Isend\(dest='next'.*dest='next' must be an integer"),
    (lambda comm: comm.Send(array(1), 0.0), TypeError, r"dest=0\.0 must be an integer"),
    (lambda comm: comm.Send([1, 2], 0), TypeError, "the buffer must be an array or"),
    (lambda comm: comm.Send(np.ones((4, 4))[:, 1], 0), ValueError, r"shape \(4,\) must be contiguous"),
    (lambda comm: comm.Recv(array(1), 2), ValueError, r"Recv\(source=2.*must be a rank .* 0 to 1, ANY_SOURCE or"),
    (lambda comm: comm.Recv(array(1), -5), ValueError, r"source=-5"),
    (lambda comm: comm.Irecv(array(1), 0, -9), ValueError, r"Irecv\(source=0, tag=-9\).*must be ANY_TAG, or"),
    (lambda comm: comm.Recv(np.ones((4, 4))[::2], 0), ValueError, "must be contiguous"),
    (lambda comm: comm.Recv(np.broadcast_to(1.0, ()), 0), ValueError, "the buffer is read-only"),
    (lambda comm: comm.Sendrecv(array(1), 0), TypeError, "the buffer must be an array here, not None"),
    (lambda comm: comm.Sendrecv(array(1), 0, 0, 5), TypeError, "the buffer must be an array or .*, not int"),
    (lambda comm: comm.Send(array(1), -3), ValueError, "dest must be a rank .* 0 to 1, or PROC_NULL"),
    (lambda comm: comm.Iprobe(3), ValueError, r"Iprobe\(source=3, tag=-1\): source must be a rank"),
    (lambda comm: comm.Send_init(array(1), 9), ValueError, r"Send_init\(dest=9, tag=0\): dest must be a rank"),
    (lambda comm: comm.Send(array(1), 0, 2**31), ValueError, r"tag=2147483648\): .* at most 2147483647"),
    (lambda comm: comm.Recv(array(1), ANY_SOURCE, 2**31), ValueError, r"tag=2147483648\): .* at most 2147483647"),
    (lambda comm: comm.Send(array(1), 0, 1.0), TypeError, r"tag=1\.0 must be an integer"),
    (lambda comm: comm.Recv(array(1), 0.0), TypeError, r"Recv\(source=0\.0, tag=-1\): source=0\.0 must be an integer"),
    (lambda comm: comm.Irecv(array(1), 0, 5.0), TypeError, r"tag=5\.0 must be an integer"),
    (lambda comm: comm.Send(np.array([{}]), 0), TypeError, "the buffer has dtype object; its objects live on one rank"),
    (lambda comm: comm.Isend(np.zeros(1, [("a", object)]), 0), TypeError, "its objects live"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD_CALLS)
def test_rule_44_wrong_arguments(call, error, text):
    with pytest.raises(error, match=f"rank 1: .*{text}|rank 1: {text}"):
        run(lambda comm: call(comm) if comm.rank == 1 else None)


def test_what_mpi4py_has_and_we_have_not_is_told_with_what_to_use():
    comm = run(lambda comm: comm, 1).results[0]
    for name, instead in [("Bsend", "Isend"), ("Alltoallw", "Irecv"), ("Create_cart", "Split"), ("Iscan", "spawn")]:
        with pytest.raises(AttributeError, match=f"no attribute '{name}': it is not simulated; .*{instead}"):
            getattr(comm, name)
    with pytest.raises(AttributeError, match=r"^'SimComm' object has no attribute 'Sned'$"):
        comm.Sned()
    assert not hasattr(comm, "Abort")


def test_no_advice_for_names_that_mpi4py_has_not_or_that_we_have():
    code = "import mpi4py; mpi4py.rc.initialize = False; from mpi4py.MPI import Intracomm; print(*dir(Intracomm))"
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(INSTEAD) <= set(theirs)
    assert not [name for name in INSTEAD if hasattr(SimComm, name)]


def test_rule_44_numpy_integers_are_ranks():
    def program(comm):
        x = array(0)
        comm.Sendrecv(array(7), np.int64(comm.rank), np.int32(0), x, np.int64(comm.rank), 0)
        return int(x[0])

    assert run(program, np.int64(2)).results == [7, 7]


@pytest.mark.parametrize(
    ("ranks", "error", "text"),
    [(0, ValueError, "ranks=0 must be 1 or more"), (-1, ValueError, "ranks=-1"), (2.0, TypeError, "ranks=2.0 must be")],
)
def test_rule_44_wrong_numbers_of_ranks(ranks, error, text):
    with pytest.raises(error, match=text):
        simulate(lambda comm: None, ranks)


def test_rule_44_a_refused_buffer_has_no_other_error_behind_it():
    with pytest.raises(TypeError, match="the buffer must be an array or") as caught:
        run(lambda comm: comm.Send([1.0, 2.0], 0))
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"cluster": "dgx-v100x1"}, "cluster='dgx-v100x1' must be a Cluster; .*named_cluster"),
        ({"args": 5}, r"args=5 must be a tuple of further arguments, as in args=\(8,\)"),
        ({"args": "ab"}, "args='ab' must be a tuple"),
    ],
)
def test_rule_44_wrong_arguments_of_simulate(arguments, text):
    with pytest.raises(TypeError, match=text):
        simulate(lambda comm, *more: None, 2, **arguments)


def generates(comm):
    yield comm.rank


async def awaits(comm):
    return comm.rank


@pytest.mark.parametrize("program", [generates, awaits])
def test_rule_44_a_program_of_which_a_call_runs_nothing(program):
    with pytest.raises(TypeError, match=f"program=<function {program.__name__} .*`yield` or is `async`"):
        run(program)
    with pytest.raises(TypeError, match="its call alone runs nothing of it"):
        run(lambda comm: program(comm))


@pytest.mark.parametrize("seconds", ["1", None])
def test_rule_44_work_is_a_number_of_seconds(seconds):
    with pytest.raises(TypeError, match=f"seconds={seconds!r} must be a number"):
        run(lambda comm: elapse(comm, seconds))


def test_rule_44_wrong_clusters():
    with pytest.raises(ValueError, match="alpha=-1 must be a finite"):
        Cluster(alpha=-1)
    with pytest.raises(ValueError, match="beta=nan must be a finite"):
        Cluster(beta=float("nan"))
    with pytest.raises(ValueError, match=r"poll=0\.0 must be above 0"):
        Cluster(poll=0.0)
    with pytest.raises(ValueError, match=r"speeds\[1\]=0 must be"):
        Cluster(speeds=(1, 0))
    with pytest.raises(ValueError, match="speeds has 2 entries, the simulation has 3 ranks"):
        simulate(lambda comm: None, 3, Cluster(speeds=(1, 1)))
    with pytest.raises(TypeError, match="program=None must be a function"):
        simulate(None, 3)


def test_rule_45_different_common_calls():
    place = rf"\({Path(__file__).name}:\d+\)"
    with pytest.raises(MismatchError, match=f"rank 1 calls Dup {place} where rank 0 calls Barrier {place}; all"):
        run(on_rank(lambda comm: comm.Barrier(), lambda comm: comm.Dup()))


def test_rule_46_polls_that_lead_nowhere_end(monkeypatch):
    monkeypatch.setattr(world, "POLL_LIMIT", 500)

    def program(comm):
        request = comm.Irecv(array(0), 1 - comm.rank, 3)
        while not request.Test():
            elapse(comm, 1.0)

    with pytest.raises(DeadlockError, match=r"Test of Irecv from [01] tag 3 failed, the 500th test in a row") as caught:
        run(program)
    assert line_of(program, "request.Test") in str(caught.value)


@pytest.mark.parametrize("act", [send_to_oneself, post_a_receive, dup_alone])
def test_rule_46_only_polls_between_which_nothing_is_posted_count(monkeypatch, act):
    monkeypatch.setattr(world, "POLL_LIMIT", 500)

    def program(comm):
        comm.Irecv(array(0), 0, 0)
        request = comm.Irecv(array(0), 0, 3)
        before = [request.Test() for _ in range(400)]
        act(comm)
        after = [request.Test() for _ in range(400)]
        raise KeyError(f"the end: {any(before + after)}")

    with pytest.raises(KeyError, match="the end: False"):
        run(program, 1)


# ---- beyond the rules


def test_results_are_by_rank_and_arguments_are_passed():
    simulation = simulate(lambda comm, a, b: (comm.Get_rank(), comm.Get_size(), a + b), 3, args=(2, 3))
    assert simulation.results == [(0, 3, 5), (1, 3, 5), (2, 3, 5)]
    assert simulation.time == 0.0


def test_without_trace_everything_but_the_spans_is_the_same():
    def program(comm):
        x = np.ones(8) * comm.rank
        ring_all_reduce(comm, x)
        return x.tolist()

    traced, untraced = run(program, 4), run(program, 4, trace=False)
    assert (traced.results, traced.times, traced.messages) == (untraced.results, untraced.times, untraced.messages)
    assert traced.spans
    assert untraced.spans == []


def test_a_simulation_inside_a_simulation():
    def program(comm):
        inner = simulate(lambda other: (other.Barrier(), other.rank)[1], 3).results
        comm.Barrier()
        return inner

    assert run(program).results == [[0, 1, 2]] * 2


def test_a_communicator_outlives_its_simulation_but_cannot_be_used():
    comm = run(lambda comm: comm, 2).results[0]
    for call in (comm.Barrier, lambda: comm.Send(array(1), 1), lambda: spawn(comm, lambda other: None)):
        with pytest.raises(RuntimeError, match="belongs to a simulation that has ended"):
            call()


def test_many_ranks_do_not_overflow_the_stack():
    def program(comm):
        x = array(0)
        comm.Sendrecv(array(comm.rank), (comm.rank + 1) % comm.size, 0, x, (comm.rank - 1) % comm.size, 0)
        spawn(comm, lambda duplicate: duplicate.Barrier()).join()
        return int(x[0])

    ranks = 3 * sys.getrecursionlimit()
    assert run(program, ranks, trace=False).results == [(rank - 1) % ranks for rank in range(ranks)]
