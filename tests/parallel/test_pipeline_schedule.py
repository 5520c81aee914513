"""Schedules have a text form, and the checker refuses every kind of wrong one; it is argued with about all of them."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from programs.schedule_shapes import fitted, fitted_schedule, schedules

from parallel.pipeline.checker import ScheduleError, check
from parallel.pipeline.memory import in_flight, peak_in_flight
from parallel.pipeline.messages import received, sent
from parallel.pipeline.schedule import Action, Overlapped, Schedule, Step
from parallel.pipeline.schedules import SCHEDULES, fits, gpipe, make_schedule, one_f_one_b, pipedream, pipedream_2bw
from parallel.pipeline.text import parse, to_text
from parallel.pipeline.timing import times

GOLDEN = Path(__file__).parent / "golden"


def edited(schedule: Schedule, rank: int, position: int, *steps: Step) -> Schedule:
    """Put `steps` in the place of one."""
    row = schedule.steps[rank]
    row = (*row[:position], *steps, *row[position + 1 :])
    return replace(schedule, steps=(*schedule.steps[:rank], row, *schedule.steps[rank + 1 :]))


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_golden_text(name: str) -> None:
    stages, micro_batches = fitted(name, 3, 4)
    text = (GOLDEN / f"{name}_{stages}x{micro_batches}.txt").read_text()
    schedule = SCHEDULES[name](stages, micro_batches)
    assert to_text(schedule) == text
    assert parse(text) == schedule
    assert schedule.name == name


@given(schedules())
def test_text_survives_the_round_trip(schedule: Schedule) -> None:
    assert parse(to_text(schedule)) == schedule


def test_text_of_chunks_pairs_weights_and_comments() -> None:
    text = "# two chunks\n\nweights stash, update every 1\nrank 0 stage 0,1: F0 F0.1 B0.1 F1&W0.1 B0 # and so on\n"
    schedule = parse(text, name="mine")
    assert schedule.placement == ((0, 1),)
    assert (schedule.name, schedule.weights, schedule.update_every) == ("mine", "stash", 1)
    assert schedule.steps[0][1:4] == (
        Action("F", 0, 1),
        Action("B", 0, 1),
        Overlapped(Action("F", 1), Action("W", 0, 1)),
    )
    assert to_text(schedule) == "weights stash, update every 1\nrank 0 stage 0,1: F0 F0.1 B0.1 F1&W0.1 B0\n"
    assert schedule.actions(0)[3:5] == [Action("F", 1), Action("W", 0, 1)]


@given(schedules())
def test_registered_schedules_are_right(schedule: Schedule) -> None:
    check(schedule)
    assert schedule.micro_batches * schedule.stages == len(schedule.holders)


@given(schedules())
def test_every_message_sent_is_received_once(schedule: Schedule) -> None:
    going = [m for cell, a in schedule.cells() if (m := sent(schedule, cell.rank, a))]
    coming = [m for cell, a in schedule.cells() if (m := received(schedule, cell.rank, a))]
    assert sorted(going) == sorted(coming)
    assert len({message.tag for message in going}) == len(going) == 2 * (schedule.stages - 1) * schedule.micro_batches


def test_blocking_sends_are_free_of_deadlock_in_gpipe_and_not_in_1f1b() -> None:
    check(gpipe(4, 8), blocking=True)
    check(one_f_one_b(4, 1), blocking=True)  # a single micro-batch never meets another
    with pytest.raises(ScheduleError) as caught:
        check(one_f_one_b(2, 3), blocking=True)
    assert str(caught.value) == (
        "deadlock with blocking sends: "
        "rank 0 waits to send the activation of micro-batch 1 to rank 1, "
        "rank 1 waits to send the gradient of micro-batch 0 to rank 0\n"
        "rank 0 |  F0   [F1]   BW0   F2    BW1   BW2\n"
        "rank 1 |  F0   [BW0]  F1    BW1   F2    BW2"
    )


def test_only_the_circle_of_a_deadlock_is_told() -> None:
    with pytest.raises(ScheduleError) as caught:
        check(one_f_one_b(3, 40), blocking=True)  # rank 0 is stuck behind the circle of the other two
    assert str(caught.value) == (
        "deadlock with blocking sends: "
        "rank 1 waits to send the activation of micro-batch 1 to rank 2, "
        "rank 2 waits to send the gradient of micro-batch 0 to rank 1\n"
        "rank 0 |  F0    F1    F2    BW0   F3    BW1   ...\n"
        "rank 1 |  F0   [F1]   BW0   F2    BW1   F3    ...\n"
        "rank 2 |  F0   [BW0]  F1    BW1   F2    BW2   ..."
    )


def test_deadlock_with_any_send() -> None:
    crossed = parse("rank 0 stage 0: F0 BW0 F1 BW1\nrank 1 stage 1: F0 F1 BW0 BW1")
    with pytest.raises(ScheduleError) as caught:
        check(crossed)
    assert str(caught.value) == (
        "deadlock with any kind of send: "
        "rank 0 waits to receive the gradient of micro-batch 0 from rank 1, "
        "rank 1 waits to receive the activation of micro-batch 1 from rank 0\n"
        "rank 0 |  F0   [BW0]  F1    BW1\n"
        "rank 1 |  F0   [F1]   BW0   BW1"
    )


def test_deadlock_of_a_rank_with_itself() -> None:
    with pytest.raises(ScheduleError, match=r"rank 0 waits to receive the activation of .* from rank 0"):
        check(parse("rank 0 stage 0,1: F0.1 F0 BW0.1 BW0"))


def test_a_pair_receives_for_both_before_it_computes() -> None:
    """As single actions these run; as a pair rank 0 waits for a gradient of what it has not sent yet."""
    one_by_one = "rank 0 stage 0: F0 F1 BW0 BW1\nrank 1 stage 1: F0 F1 BW0 BW1"
    check(parse(one_by_one))
    with pytest.raises(ScheduleError, match=r"^deadlock with any kind of send: rank 0 waits to receive the gradient"):
        check(parse(one_by_one.replace("F1 BW0", "F1&BW0")))


@settings(max_examples=150, deadline=None)
@given(schedules(most_stages=4, most_micro_batches=5), st.data())
def test_the_checker_and_the_clock_agree_on_what_can_run(schedule: Schedule, data: st.DataObject) -> None:
    """Two steps change places. The evaluator of times knows no messages, and finds what can never start."""
    rank = data.draw(st.integers(0, schedule.ranks - 1))
    row = list(schedule.steps[rank])
    i, j = data.draw(st.integers(0, len(row) - 1)), data.draw(st.integers(0, len(row) - 1))
    row[i], row[j] = row[j], row[i]
    steps = (*schedule.steps[:rank], tuple(row), *schedule.steps[rank + 1 :])
    changed = Schedule(steps, schedule.placement)
    try:
        check(changed)
    except ScheduleError:
        with pytest.raises(ValueError, match="can never start"):
            times(changed)
    else:
        assert len(times(changed).end) == sum(map(len, schedule.steps))


@given(schedules(), st.data())
def test_a_missing_step_is_found_and_drawn(schedule: Schedule, data: st.DataObject) -> None:
    assume(schedule.stages > 1)  # with a single stage nothing may be left of the last micro-batch
    rank = data.draw(st.integers(0, schedule.ranks - 1))
    position = data.draw(st.integers(0, len(schedule.steps[rank]) - 1))
    lost = schedule.steps[rank][position].actions
    with pytest.raises(ScheduleError) as caught:
        check(edited(schedule, rank, position))
    sentence, grid = str(caught.value).split("\n", 1)
    first = min(lost, key=lambda action: (schedule.stage_of(rank, action), action.micro_batch))
    assert sentence.startswith(f"rank {rank} (stage {schedule.stage_of(rank, first)}) lacks {first}")
    assert grid.split("\n")[rank].endswith(f"[{first}?]")


@given(schedules(), st.data())
def test_a_doubled_step_is_found_and_drawn(schedule: Schedule, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, schedule.ranks - 1))
    position = data.draw(st.integers(0, len(schedule.steps[rank]) - 1))
    step = schedule.steps[rank][position]
    with pytest.raises(ScheduleError) as caught:
        check(edited(schedule, rank, position, step, step))
    sentences = [f"stage {schedule.stage_of(rank, a)} has {a.kind}{a.micro_batch} 2 times" for a in step.actions]
    assert caught.value.reason in sentences
    assert [cell.rank for cell in caught.value.cells] == [rank, rank]
    assert str(caught.value).split("\n")[1 + rank].count(f"[{step}]") == 2


def test_memory_is_held_until_w() -> None:
    assert peak_in_flight(parse("rank 0 stage 0: F0 B0 F1 W0 B1 W1")) == (2,)


@given(schedules())
def test_memory_is_what_the_clock_sees(schedule: Schedule) -> None:
    """In flight from the start of F to the end of W: counted on the time axis instead of in the rows."""
    when = times(schedule)
    for rank in range(schedule.ranks):
        first: dict[tuple[int, int], float] = {}
        last: dict[tuple[int, int], float] = {}
        for cell, action in schedule.cells():
            if cell.rank == rank and action.kind == "F":
                first[action[1:]] = when.start[cell]
            elif cell.rank == rank and "W" in action.kind:
                last[action[1:]] = when.end[cell]
        peak = max(sum(first[key] <= time < last[key] for key in first) for time in first.values())
        assert peak_in_flight(schedule)[rank] == peak


def test_too_much_memory_is_found_where_it_begins() -> None:
    assert in_flight(parse("rank 0 stage 0: F0 B0 F1 W0 B1 W1")) == ((1, 1, 2, 2, 1, 1),)
    check(one_f_one_b(3, 40), most_in_flight=3)
    with pytest.raises(ScheduleError) as caught:
        check(one_f_one_b(3, 4), most_in_flight=2)
    assert str(caught.value).startswith(
        "rank 0 has 3 micro-batches in flight, most_in_flight=2\nrank 0 |  F0    F1   [F2]   BW0"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rank 0 stage 0: BW0 F0", "rank 0 has BW0 before F0"),
        ("rank 0 stage 0: F0 W0 B0", "rank 0 has W0 before B0"),
        ("rank 0 stage 0: F0 B0", "rank 0 (stage 0) lacks W0"),
        ("rank 0 stage 0: F0 W0", "rank 0 (stage 0) lacks B0"),
        ("rank 0 stage 0: F0 F2 BW0 BW2", "rank 0 (stage 0) lacks F1"),
        ("rank 0 stage 0: F0 BW0 W0", "stage 0 has BW0, which is B and W fused, and also one of them alone"),
        ("rank 0 stage 0:", "the schedule has no actions"),
        ("rank 0 stage 0: F0&BW0", "rank 0 overlaps BW0 with F0, which must be over before it starts"),
        ("rank 0 stage 0: F0 B0&W0", "rank 0 overlaps W0 with B0, which must be over before it starts"),
        ("rank 0 stage 0,1: F0 F0.1 BW0", "rank 0 (stage 1) lacks BW0.1, or B0.1 and W0.1"),
        (
            "weights double-buffer, update every 2\nrank 0 stage 0: F0 BW0 F1 BW1 F2 BW2",
            "3 micro-batches are no multiple of update_every=2: the gradients of the last would not be used",
        ),
        (
            "weights double-buffer, update every 1\nrank 0 stage 0: F0 F1 F2 BW0 BW1 BW2",
            "F2 of rank 0 reads version 1 of the weights, the newest is 0",
        ),
        (
            "weights stash, update every 1\nrank 0 stage 0,1: F0 F1.1 BW1.1 BW0\nrank 1 stage 1,0: F1.1 F0 BW0 BW1.1",
            "an asynchronous schedule must have each stage on one rank only",
        ),
        (
            "rank 0 stage 0: F0\nrank 1 stage 0: BW0",
            "stage 0 runs micro-batch 0 on more than one rank, [0, 1]",
        ),
    ],
)
def test_wrong_schedules(text: str, sentence: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        check(parse(text))
    assert str(caught.value).split("\n")[0].startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("F0 BW0", "line 1: 'F0 BW0' must look like"),
        ("\nrank 1 stage 0: F0 BW0", "line 2: rank=1 must be 0, ranks count from 0"),
        ("rank 0 stage 0: F0 X0", "line 1: action 'X0' must be one of F, B, W, BW"),
        ("rank 0 stage 0: F0&F1&F2", "line 1: step 'F0&F1&F2' has 3 actions, must have one or two"),
        ("rank 0 stage 0: F0&", "line 1: action '' must be one of F, B, W, BW"),
        ("weights old, update every 1", "line 1: 'weights old, update every 1' must look like 'weights stash,"),
        ("weights stash, update every 0\nrank 0 stage 0: F0 BW0", "update_every=0 must be 0 with weights='flush'"),
        ("rank 0 stage 0: F0 BW", "line 1: action 'BW' must be one of F, B, W, BW"),
        ("rank 0 stage 1: F0 BW0", "placement holds stages [1], must be 0, 1, 2, ... without a gap"),
        ("rank 0 stage 0: F0.1 BW0", "chunk=1 of rank 0 must be less than the number of its stages, 1"),
        ("", "text has no rank, must have lines such as"),
    ],
)
def test_text_that_is_no_schedule(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_bad_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=r"^stages=0 must be at least 1$"):
        SCHEDULES[name](0, 4)
    with pytest.raises(ValueError, match=r"^micro_batches=-1 must be at least 1$"):
        SCHEDULES[name](2, -1)


def test_actions_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="kind='X' of rank 0 must be one of"):
        Schedule(((Action("X", 0),),), ((0,),))
    with pytest.raises(ValueError, match="micro_batch=-1 of rank 0 must be at least 0"):
        Schedule(((Action("F", -1),),), ((0,),))
    with pytest.raises(ValueError, match="steps has 1 ranks and placement 2, must be equal"):
        Schedule(((Action("F", 0),),), ((0,), (1,)))
    with pytest.raises(ValueError, match="weights='new' must be one of flush, latest, stash"):
        replace(gpipe(1, 1), weights="new")


@pytest.mark.parametrize(
    ("name", "stages", "micro_batches", "sentence"),
    [
        ("interleaved-1f1b", 4, 6, "micro_batches=6 must be a multiple of stages=4 to be interleaved"),
        ("dualpipe", 3, 8, "stages=3 must be even, for the two directions of dualpipe mirror each other"),
        ("dualpipe", 4, 9, "micro_batches=9 must be even, for half of them enter at either end"),
        ("dualpipe", 4, 6, "micro_batches=6 must be at least 2 stages = 8"),
        ("dualpipev", 4, 7, "micro_batches=7 must be at least 2 stages = 8"),
        ("pipedream-2bw", 4, 6, "micro_batches=6 must be a multiple of update_every=4"),
    ],
)
def test_numbers_that_do_not_fit(name: str, stages: int, micro_batches: int, sentence: str) -> None:
    assert not fits(name, stages, micro_batches)
    with pytest.raises(ValueError) as caught:
        make_schedule(name, stages, micro_batches)
    assert str(caught.value) == sentence


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="name='2f2b' must be one of naive, gpipe"):
        make_schedule("2f2b", 2, 4)
    with pytest.raises(ValueError, match="chunks=2 must be None for 1f1b, only interleaved-1f1b, looped-bfs take it"):
        make_schedule("1f1b", 2, 4, chunks=2)
    with pytest.raises(ValueError, match="chunks=0 must be at least 1"):
        make_schedule("looped-bfs", 2, 4, chunks=0)
    with pytest.raises(ValueError, match="update_every=3 must be at least stages=4"):
        pipedream_2bw(4, 6, update_every=3)
    with pytest.raises(ValueError, match="vertical_sync=True needs stashing=True"):
        pipedream(4, 6, stashing=False, vertical_sync=True)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_schedule_is_the_same_every_time(name: str) -> None:
    first, second = (fitted_schedule(name, 4, 8) for _ in range(2))
    assert first == second
    for before, after in pairwise(sorted({action.micro_batch for _, action in first.cells()})):
        assert after == before + 1
