"""The rules of docs/simulated-world.md on further forms of messages and requests; tests/mpi has the same programs."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import message_cases as cases

from parallel import Cluster, clock, elapse, simulate
from parallel.comm import DeadlockError, MessageError, UnfinishedError, new_status, world
from parallel.comm.buffers import Place, flat
from parallel.comm.errors import ANY_SOURCE, ANY_TAG, PROC_NULL, UNDEFINED
from parallel.comm.request import Request
from parallel.comm.status import SimStatus

ALPHA, BETA = 2.0, 0.125  # binary fractions, so that times can be compared exactly
CLUSTER = Cluster(alpha=ALPHA, beta=BETA, poll=0.5)
TYPES = SimpleNamespace(DOUBLE="d", INT="i", LONG="l", BYTE="B", Status=SimStatus, Request=Request)


def run(program, ranks=2, cluster=CLUSTER, **keywords):
    return simulate(program, ranks, cluster, **keywords)


def on_rank(*programs):
    """The program whose rank r runs programs[r]."""
    return lambda comm: programs[comm.Get_rank()](comm)


def cost(nbytes):
    return ALPHA + BETA * nbytes


def named(form):
    return flat(Place(3, "Recv", "the buffer"), form, writable=True)


def array(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("program", cases.PROGRAMS)
def test_programs_that_also_run_under_mpirun(program, ranks):
    first, second = run(program, ranks, args=(TYPES,)), run(program, ranks, args=(TYPES,))
    assert (first.results, first.times) == (second.results, second.times)


# ---- nobody


def test_rule_10_what_nobody_sends_is_nothing_at_once():
    results = run(cases.nobody, 3, args=(TYPES,)).results
    empty = (PROC_NULL, ANY_TAG, 0, False)
    assert results[0] == [[-1, -1], empty, empty, True, empty, True, None, None]
    assert results[1] == [[0, 0], (0, 7, 16, False), empty, True, empty, True, None, 0]


def test_rule_10_it_takes_no_time_and_no_port():
    def program(comm):
        comm.Send(np.zeros(100), PROC_NULL)
        comm.Sendrecv(np.zeros(100), PROC_NULL, 0, np.zeros(100), PROC_NULL)
        before = clock(comm)
        other = 1 - comm.rank
        comm.Sendrecv(array(1), other, 0, array(0), other)
        return before, clock(comm)

    assert run(program).results == [(0.0, cost(8))] * 2


# ---- probes


def test_rule_11_a_send_is_seen_from_the_moment_at_which_it_is_posted():
    def sender(comm):
        elapse(comm, 3.0)
        comm.Send(array(1, 2), 1, 4)

    def receiver(comm):
        status = new_status(comm)
        comm.Probe(0, ANY_TAG, status)
        seen = clock(comm), status.source, status.tag, status.Get_count("l")
        elapse(comm, 1.0)
        comm.Recv(array(0, 0), 0, 4)
        return seen, clock(comm)

    assert run(on_rank(sender, receiver)).results[1] == ((3.0, 0, 4, 2), 4.0 + cost(16))


def test_rule_11_a_failed_iprobe_costs_a_poll():
    def sender(comm):
        elapse(comm, 1000.2)
        comm.Send(array(1), 1)

    def receiver(comm):
        failed = 0
        while not comm.Iprobe():
            failed += 1
        seen = clock(comm)
        assert comm.Iprobe()
        assert clock(comm) == seen
        comm.Recv(array(0))
        return failed, seen

    failed, seen = run(on_rank(sender, receiver)).results[1]
    assert failed <= 5  # wound forward (rule 24)
    assert seen == 1000.5


def test_rule_11_iprobes_that_lead_nowhere_end(monkeypatch):
    monkeypatch.setattr(world, "POLL_LIMIT", 500)

    def program(comm):
        while not comm.Iprobe(tag=3):
            elapse(comm, 1.0)

    with pytest.raises(DeadlockError, match="rank 0: Iprobe from any rank tag 3 failed, the 500th test in a row"):
        run(program, 1)


def test_rule_11_probes_see_the_message_that_a_receive_would_get():
    def program(comm):
        if comm.rank:
            elapse(comm, 5.0 - comm.rank)
            comm.Send(array(comm.rank), 0, comm.rank)
            return None
        elapse(comm, 10.0)
        status, got = new_status(comm), []
        for _ in range(3):
            comm.Probe(status=status)
            x = array(0)
            comm.Recv(x)
            got.append((status.source, int(x[0])))
        return got

    assert run(program, 4).results[0] == [(3, 3), (2, 2), (1, 1)]


def test_rule_11_a_claimed_message_is_nobody_elses():
    def receiver(comm):
        elapse(comm, 1.0)
        first = comm.Improbe()
        x, y = array(0), array(0)
        comm.Recv(y)
        first.Recv(x)
        return int(x[0]), int(y[0]), comm.Improbe()

    def sender(comm):
        requests = [comm.Isend(array(value), 1) for value in (1, 2)]
        Request.Waitall(requests)

    assert run(on_rank(sender, receiver)).results[1] == (1, 2, None)


def test_rule_11_a_probe_that_nobody_answers_is_a_deadlock():
    with pytest.raises(DeadlockError, match="rank 1 waits in Probe from 0 tag 5"):
        run(lambda comm: comm.Probe(0, 5) if comm.rank else None)


# ---- objects


def test_rule_12_an_object_costs_its_pickled_bytes():
    import pickle

    thing = {"weights": np.arange(100), "step": 3}

    def program(comm):
        if comm.rank == 0:
            comm.send(thing, 1, 2)
            return None
        status = new_status(comm)
        got = comm.recv(source=0, status=status)
        return got["step"], got["weights"] is not thing["weights"], status.Get_count(), clock(comm)

    nbytes = len(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))
    assert run(program).results[1] == (3, True, nbytes, cost(nbytes))


def test_rule_12_an_object_is_pickled_when_it_is_sent():
    def program(comm):
        if comm.rank == 0:
            thing = [1]
            request = comm.isend(thing, 1)
            thing.append(2)
            request.wait()
            return None
        elapse(comm, 1.0)
        return comm.recv()

    assert run(program).results[1] == [1]


def test_rule_12_irecv_has_the_room_that_mpi4py_gives_it():
    def program(comm, room):
        if comm.rank == 0:
            comm.send("x" * 40_000, 1)
            return None
        return len(comm.irecv(room).wait())

    assert run(program, args=(50_000,)).results[1] == 40_000
    assert run(program, args=(bytearray(50_000),)).results[1] == 40_000
    with pytest.raises(MessageError, match=r"irecv .* truncated: it has 400\d\d bytes, the buffer 32768"):
        run(program, args=(None,))


def test_rule_12_an_array_is_no_object():
    with pytest.raises(MessageError, match="the message is float64, and recv takes what send has pickled"):
        run(lambda comm: comm.recv() if comm.rank else comm.Send(np.zeros(2), 1))
    with pytest.raises(MessageError, match=r"recv .*: no pickled object came"):
        run(lambda comm: comm.recv() if comm.rank else comm.Send(np.zeros(2, np.uint8), 1))


# ---- forms of buffers


@settings(max_examples=60)
@given(st.integers(0, 6), st.integers(-1, 8), st.integers(-1, 8), st.sampled_from(["d", None, "B", "i"]), st.booleans())
def test_rule_13_a_form_names_the_elements_that_the_memory_holds(size, count, displacement, letter, tupled):
    x = np.arange(size, dtype="d")
    counts = (count, displacement)
    form = [x, counts] if tupled else [x, *counts]
    form = form if letter is None else [*form, letter]
    if letter is None and not tupled:
        form = [x, count, displacement, "d"]
    whole = x.view("u1") if letter == "B" else x
    right = count >= 0 and displacement >= 0 and displacement + count <= whole.size
    if letter == "i":
        with pytest.raises(TypeError, match="the buffer has dtype float64, the MPI type beside it is int32"):
            named(form)
    elif right:
        part = named(form)
        assert part.tolist() == whole[displacement : displacement + count].tolist()
        assert part.size == 0 or np.shares_memory(part, x)
    else:
        with pytest.raises(ValueError, match=f"the buffer has (the (count|displacement) -1|{whole.size} elements)"):
            named(form)


@pytest.mark.parametrize(
    ("form", "error", "text"),
    [
        ([np.zeros(2), 1, 0, "d", 5], TypeError, "is a list of 5"),
        ([np.zeros(2), "float64x"], TypeError, "has the count 'float64x', which must be an integer"),
        ([np.zeros(2), 1.5], TypeError, r"has the count 1\.5, which must be an integer"),
        ([], TypeError, "is a list of 0"),
        ("text", TypeError, "must be an array or .*, not str"),
        (np.zeros((3, 3))[:, :2], ValueError, r"the buffer of shape \(3, 2\) must be contiguous"),
        (b"constant", ValueError, "the buffer is read-only"),
    ],
)
def test_rule_13_what_is_no_buffer_is_refused(form, error, text):
    with pytest.raises(error, match=f"rank 3: Recv: .*{text}"):
        named(form)


def test_rule_13_a_type_is_named_by_letters():
    assert run(lambda comm: comm.Bcast([np.zeros(2), "d"])).results == [None, None]
    assert run(lambda comm: comm.Bcast([np.zeros(2), "f8"])).results == [None, None]
    with pytest.raises(TypeError, match="rank 0: Bcast: buf has the count 'float64', which must be an integer"):
        run(lambda comm: comm.Bcast([np.zeros(2), "float64"]))


def test_rule_13_what_travels_is_the_memory_in_its_order():
    x = np.asfortranarray(np.arange(6).reshape(2, 3))

    def program(comm):
        if comm.rank == 0:
            comm.Send(x, 1)
            return None
        y = np.zeros(6, int)
        comm.Recv(y)
        return y.tolist()

    assert run(program).results[1] == x.T.ravel().tolist()


# ---- one of several requests


def test_rule_14_waitany_returns_at_the_end_of_the_first_to_end():
    # The receive is matched first and ends at 2 + 80/8 = 12; the send is matched at 5 and ends at 8.
    def program(comm):
        if comm.rank == 0:
            requests = [comm.Irecv(np.zeros(10), 1), comm.Isend(array(1), 2)]
            first = Request.Waitany(requests), clock(comm)
            second = Request.Waitany(requests), clock(comm)
            return first, second, Request.Waitany(requests)
        if comm.rank == 1:
            comm.Send(np.zeros(10), 0)
        else:
            elapse(comm, 5.0)
            comm.Recv(array(0), 0)
        return None

    assert run(program, 3).results[0] == ((1, 8.0), (0, 12.0), UNDEFINED)


def test_rule_14_waitany_prefers_what_has_ended_first():
    def program(comm):
        if comm.rank:
            elapse(comm, 10.0 - comm.rank)
            comm.Send(array(comm.rank), 0)
            return None
        requests = [comm.Irecv(array(0), rank) for rank in (1, 2, 3)]
        elapse(comm, 100.0)
        return [Request.Waitany(requests) for _ in requests], clock(comm)

    assert run(program, 4).results[0] == ([2, 1, 0], 100.0)


def test_rule_14_what_waitany_has_left_disturbs_no_later_wait():
    def program(comm):
        if comm.rank == 0:
            x = array(0)
            requests = [comm.Irecv(array(0), 1), comm.Irecv(array(0), 2)]
            first = Request.Waitany(requests)
            comm.Recv(x, 3)  # the message of rank 2 comes while it waits
            received = int(x[0]), clock(comm)
            Request.Waitall(requests)
            return first, received
        elapse(comm, 10.0 * comm.rank)
        comm.Send(array(comm.rank), 0)
        return None

    assert run(program, 4).results[0] == (0, (3, 30.0 + cost(8)))


def test_rule_14_waitsome_returns_all_that_have_ended():
    def program(comm):
        if comm.rank:
            comm.Send(array(comm.rank), 0)
            return None
        x = np.zeros((3, 1), np.int64)
        requests = [comm.Irecv(x[index], index + 1) for index in range(3)]
        elapse(comm, 2 * cost(8))
        first = Request.Waitsome(requests), clock(comm)
        second = Request.Waitsome(requests), clock(comm)
        return first, second, Request.Waitsome(requests)

    assert run(program, 4).results[0] == (([0, 1], 2 * cost(8)), ([2], 3 * cost(8)), None)


def test_rule_14_tests_of_several_cost_one_poll():
    def program(comm):
        if comm.rank:
            elapse(comm, 1.0)
            comm.Send(array(comm.rank), 0)
            return None
        requests = [comm.Irecv(array(0), 1), comm.Irecv(array(0), 2)]
        moments = []
        for test in (Request.Testany, Request.Testsome, Request.Testall):
            moments.append((test(requests), clock(comm)))
            elapse(comm, 0.25)
        elapse(comm, cost(8))
        moments.append((Request.Testany(requests), Request.Testall(requests), Request.Testsome(requests), clock(comm)))
        Request.Waitall(requests)
        return moments

    moments = run(program, 3).results[0]
    assert moments[:3] == [((UNDEFINED, False), 0.5), ([], 1.25), (False, 2.0)]
    assert moments[3] == ((0, True), False, [], 2.25 + cost(8) + 0.5 + 1.5)  # the fourth and fifth poll, wound forward


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), min_size=1, max_size=6), st.integers(0, 25))
def test_rule_14_waitany_is_waitall_one_by_one(messages, late):
    # The oracle: times at which Waitall, on one request at a time, says that each has ended.
    def program(comm, wait):
        if comm.rank:
            delay, size = messages[comm.rank - 1]
            elapse(comm, float(delay))
            comm.Send(np.zeros(size), 0)
            return None
        requests = [comm.Irecv(np.zeros(6), rank) for rank in range(1, comm.size)]
        elapse(comm, float(late))
        return wait(comm, requests)

    def any_order(comm, requests):
        return [(Request.Waitany(requests), clock(comm)) for _ in requests]

    def in_order_of_their_ends(comm, requests):
        ends = []
        for index in by_end:
            requests[index].Wait()
            ends.append((index, clock(comm)))
        return ends

    found = run(program, len(messages) + 1, args=(any_order,)).results[0]
    by_end = [index for index, _ in found]
    assert sorted(by_end) == list(range(len(messages)))
    assert found == run(program, len(messages) + 1, args=(in_order_of_their_ends,)).results[0]
    assert [time for _, time in found] == sorted(time for _, time in found)


def test_rule_14_a_deadlock_in_waitany_names_every_request():
    def program(comm):
        Request.Waitany([comm.Irecv(array(0), 1 - comm.rank, tag) for tag in (3, 4)])

    with pytest.raises(DeadlockError) as caught:
        run(program)
    assert "rank 0 waits in Waitany for Irecv from 1 tag 3, Irecv from 1 tag 4 (" in str(caught.value)


# ---- taking back, giving up, looking


def test_rule_15_a_cancelled_receive_takes_no_message():
    def receiver(comm):
        x, status = array(7), new_status(comm)
        request = comm.Irecv(x, 0)
        request.Cancel()
        request.Wait(status)
        y = array(0)
        comm.Recv(y, 0)
        return x.tolist(), y.tolist(), status.Is_cancelled(), request.Test()

    def late_sender(comm):
        elapse(comm, 1.0)
        comm.Send(array(1), 1)

    assert run(on_rank(late_sender, receiver)).results[1] == ([7], [1], True, True)


def test_rule_15_a_cancelled_receive_must_still_be_waited_for():
    with pytest.raises(UnfinishedError, match="rank 0 never waited for Irecv from 0 tag 3"):
        run(lambda comm: comm.Irecv(array(0), 0, 3).Cancel(), 1)


def test_rule_15_a_send_cannot_be_taken_back():
    def program(comm):
        request = comm.Isend(array(1), 1 - comm.rank)
        request.Cancel()
        request.Wait()

    with pytest.raises(DeadlockError, match="rank 0 waits in Wait for Isend to 1 tag 0"):
        run(program)


def test_rule_15_get_status_leaves_the_request_to_be_waited_for():
    def program(comm):
        if comm.rank:
            return comm.Send(array(1), 0)
        request, status = comm.Irecv(array(0), 1), new_status(comm)
        first = request.Get_status(status), clock(comm), status.source
        elapse(comm, 10.0)
        return first, request.Get_status(status), clock(comm), status.source

    with pytest.raises(UnfinishedError, match="rank 0 never waited for Irecv from 1"):
        run(program)

    def completed(comm):
        if comm.rank:
            return comm.Send(array(1), 0)
        request, status = comm.Irecv(array(0), 1), new_status(comm)
        first = request.Get_status(status), clock(comm), status.source
        elapse(comm, 10.0)
        return first, request.Get_status(status), clock(comm), status.source, request.Wait()

    assert run(completed).results[0] == ((False, 0.5, ANY_SOURCE), True, 10.5, 1, True)


def test_rule_15_a_freed_request_goes_on_by_itself():
    def program(comm, answered):
        if comm.rank == 0:
            request = comm.Isend(array(5), 1, 9)
            request.Free()
            assert Request.Waitany([request]) == UNDEFINED
        elif answered:
            x = array(0)
            comm.Recv(x, 0)
            return int(x[0])
        return None

    assert run(program, args=(True,)).results == [None, 5]
    with pytest.raises(UnfinishedError, match=r"Isend to 1 tag 9 .* nobody answered it"):
        run(program, args=(False,))


# ---- persistent requests


def test_rule_16_persistent_requests_cost_what_isend_and_irecv_do():
    def once(comm, right, left, x, y):
        return [comm.Irecv(y, left), comm.Isend(x, right)]

    def program(comm, persistent):
        right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
        x, y = array(comm.rank), array(0)
        kept = [comm.Recv_init(y, left), comm.Send_init(x, right)]
        for _ in range(3):
            requests = kept if persistent else once(comm, right, left, x, y)
            if persistent:
                type(kept[0]).Startall(kept)
            Request.Waitall(requests)
            x[0] = y[0]
        return int(x[0]), clock(comm)

    kept, made = (run(program, 5, args=(persistent,)) for persistent in (True, False))
    assert kept.results == made.results == [((rank - 3) % 5, 3 * cost(8)) for rank in range(5)]


def test_rule_16_a_persistent_request_reads_its_buffer_at_every_match():
    def sender(comm):
        x = array(0)
        request = comm.Send_init(x, 1)
        for value in range(3):
            x[0] = value
            request.Start()
            request.Wait()

    def receiver(comm):
        got = []
        for _ in range(3):
            y = array(-1)
            comm.Recv(y, 0)
            got.append(int(y[0]))
        return got

    assert run(on_rank(sender, receiver)).results[1] == [0, 1, 2]


def test_rule_16_inactive_requests_are_not_waited_for_and_need_no_end():
    def program(comm):
        request = comm.Recv_init(array(0), 0)
        return request.Wait(), request.Test(), Request.Waitany([request]), request.Get_status()

    assert run(program, 1).results == [(True, True, UNDEFINED, True)]


def test_rule_16_what_was_started_must_be_waited_for_before_it_starts_again():
    def program(comm):
        request = comm.Recv_init(array(0), 0, 4)
        request.Start()
        request.Start()

    with pytest.raises(ValueError, match="rank 0: Start of Recv_init from 0 tag 4: it has not been waited for"):
        run(program, 1)
    with pytest.raises(UnfinishedError, match="rank 0 never waited for Recv_init from 0 tag 4"):
        run(lambda comm: comm.Recv_init(array(0), 0, 4).Start(), 1)


# ---- beyond the rules


def test_a_refused_sendrecv_leaves_nothing_behind():
    def program(comm):
        with pytest.raises(ValueError, match="dest must be a rank"):
            comm.Sendrecv(array(1), 9, 0, array(0), comm.rank)
        request = comm.Isend(array(4), comm.rank)
        x = array(0)
        comm.Recv(x)
        request.Wait()
        return int(x[0])

    assert run(program).results == [4, 4]


def test_statuses_are_filled_for_as_many_requests_as_there_are():
    def program(comm):
        if comm.rank == 0:
            Request.Waitall([comm.Isend(array(tag), 1, tag) for tag in range(3)])
            return None
        statuses = [new_status(comm)]
        Request.Waitall([comm.Irecv(array(0), 0, tag) for tag in range(3)], statuses)
        return [status.Get_tag() for status in statuses]

    assert run(program).results[1] == [0, 1, 2]


def test_all_requests_are_completed_before_an_error_among_them_is_raised():
    def receiver(comm):
        x = [np.zeros(1, np.int64), np.zeros(3, np.int64)]
        requests = [comm.Irecv(x[0], 0, 0), comm.Irecv(x[1], 0, 1)]
        with pytest.raises(MessageError, match="rank 1: Irecv from 0 tag 0: message truncated"):
            Request.Waitall(requests)
        return x[1].tolist()

    def sender(comm):
        Request.Waitall([comm.Isend(array(1, 2, 3), 1, tag) for tag in (0, 1)])

    assert run(on_rank(sender, receiver)).results[1] == [1, 2, 3]


def test_a_status_counts_in_elements_of_a_type():
    status = SimStatus()
    status.fill(3, 4, 12)
    assert (status.Get_count(), status.Get_count("i"), status.Get_count("d"), status.Get_elements("f")) == (
        12, 3, UNDEFINED, 3,
    )  # fmt: skip
    status.Set_source(1), status.Set_tag(2), status.Set_error(5), status.Set_cancelled(True)
    assert (status.source, status.tag, status.Get_error(), status.Is_cancelled()) == (1, 2, 5, True)
