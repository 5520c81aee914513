"""Schedules go to PyTorch's CSV form and back, in its letters of today and of before."""

from hashlib import sha256

import pytest
from hypothesis import given
from programs.schedule_shapes import schedules

from parallel.pipeline import (
    Action,
    Overlapped,
    Schedule,
    check,
    dualpipev,
    from_pytorch_csv,
    peak_in_flight,
    pipedream,
    times,
    to_pytorch_csv,
    to_text,
)


@given(schedules())
def test_round_trip(schedule: Schedule) -> None:
    """Stages, micro-batches and order survive; chunks are counted anew, in the order of their stages."""
    if not schedule.synchronous:
        return
    text = to_pytorch_csv(schedule)
    back = from_pytorch_csv(text, name="back")
    check(back)
    assert to_pytorch_csv(back) == text
    assert back.name == "back"
    assert times(back).makespan == times(schedule).makespan
    assert peak_in_flight(back) == peak_in_flight(schedule)
    if all(tuple(sorted(chunks)) == chunks for chunks in schedule.placement):
        assert back == schedule


def test_dualpipev_is_pytorchs() -> None:
    """Byte for byte the file that PyTorch tests its own against, dualpipev_4rank_10mb.csv; this is its hash."""
    text = to_pytorch_csv(dualpipev(4, 10))
    assert text.splitlines()[3].startswith("3F0,4F0,3F1,4F1,3F2,4F2,3F3,4F3,3F4,4B0,(4F4;3B0)OVERLAP_F_B,")
    assert sha256(text.encode()).hexdigest() == "16ce4a29936e4c5ad774098add32489b4937942e3f5ab0108f17d2826b184529"


def test_idle_cells_and_messages_are_left_out() -> None:
    text = "0UNSHARD,0F0, 0SEND_F0 ,,0RECV_B0,0B0,0REDUCE_GRAD,0RESHARD\n1RECV_F0,,1F0,1B0,1SEND_B0\n"
    assert to_text(from_pytorch_csv(text)) == "rank 0 stage 0: F0 BW0\nrank 1 stage 1: F0 BW0\n"


def test_letters_of_older_versions() -> None:
    """There B was the gradient of the input, and BW both; today I and B."""
    schedule = from_pytorch_csv("0F0,0F1,0BW0,0BW1\n1F0,1B0,1F1,1B1,1W0,1W1")
    check(schedule)
    assert to_text(schedule) == "rank 0 stage 0: F0 F1 BW0 BW1\nrank 1 stage 1: F0 B0 F1 B1 W0 W1\n"


def test_pairs_and_chunks() -> None:
    schedule = from_pytorch_csv("0F0,3F0,(0F1;3B0)OVERLAP_F_B,0B0,3F1,3I1,3W1,0B1\n1F0,2F0,2B0,1B0,1F1,2F1,2B1,1B1")
    assert schedule.placement == ((0, 3), (1, 2))
    assert schedule.steps[0][2] == Overlapped(Action("F", 1), Action("BW", 0, chunk=1))
    assert schedule.steps[0][5] == Action("B", 1, chunk=1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0F0,0X0", "line 1, cell 2: '0X0' must look like '2F0', with F, I, W or B"),
        ("0F0\n\nF0", "line 3, cell 1: 'F0' must look like"),
        ("(0F0;)OVERLAP_F_B", "line 1, cell 1: '(0F0;)OVERLAP_F_B' must look like"),
        ("1F0,1B0", "placement holds stages [1], must be 0, 1, 2, ... without a gap"),
        ("", "text has no actions, must have cells such as"),
    ],
)
def test_text_that_is_no_schedule(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        from_pytorch_csv(text)
    assert str(caught.value).startswith(sentence)


def test_no_word_for_versions() -> None:
    with pytest.raises(ValueError, match=r"schedule.weights='stash' must be 'flush'"):
        to_pytorch_csv(pipedream(2, 3))
