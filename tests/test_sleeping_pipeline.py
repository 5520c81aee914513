"""A run on real ranks whose stages sleep for known times: it takes what the price says, in the simulated order."""

import os
from pathlib import Path
from typing import Any

import pytest

from parallel.pipeline import ScheduleError, make_schedule, parse, price
from parallel.pipeline.sleeping import order_of_actions, sleeping_run

MEASURED = 0.10  # row `real-time` of docs/conventions.md
TRIES = 4  # a machine that does other things at the same time makes a run longer, never shorter


def makespan(spans: Any) -> float:
    return max(span.end for span in spans if span.kind == "compute")


@pytest.mark.parametrize(
    ("name", "micro_batches", "free"), [("1f1b", 4, False), ("zb-h1", 4, False), ("dualpipe", 4, True)]
)
def test_two_real_ranks_take_as_long_as_priced(name: str, micro_batches: int, free: bool) -> None:
    """Stages of different costs. The order is compared in each try, the time in the best of four at most.

    The sleeps are long against what a busy machine adds to each of them, some milliseconds.
    """
    schedule = make_schedule(name, 2, micro_batches)
    costs = ([0.10, 0.14], [0.11, 0.15], [0.08, 0.12])
    priced = price(schedule, *costs, overlap_is_free=free)
    ratios: list[float] = []
    while len(ratios) < TRIES and (not ratios or min(ratios) > 1 + MEASURED):
        spans = sleeping_run(schedule, *costs, message_bytes=1000, overlap_is_free=free)
        for rank in range(2):
            real = order_of_actions(spans, rank)
            assert real == order_of_actions(priced.spans, rank)
            assert real == [str(action) for action in schedule.actions(rank)]
        ratios.append(makespan(spans) / priced.makespan)
        assert ratios[-1] > 0.99  # a sleep is never shorter than it was told to be
    assert min(ratios) <= 1 + MEASURED, f"measured over priced: {ratios}"


def test_a_slow_rank_sleeps_longer() -> None:
    schedule = make_schedule("gpipe", 2, 2)
    slow = 2 * (0.01 + 0.01 + 0.01) / 0.2  # F, B and W of two micro-batches on rank 1
    assert makespan(sleeping_run(schedule, 0.01, 0.01, 0.01, speeds=[1.0, 0.2])) > slow


def test_what_cannot_run_is_refused_before_anything_starts() -> None:
    with pytest.raises(ScheduleError, match="lacks BW0"):
        sleeping_run(parse("rank 0 stage 0: F0"))
    with pytest.raises(ValueError, match=r"speeds=\[1.0\] must be finite and above 0, one for each of 2 ranks"):
        sleeping_run(make_schedule("gpipe", 2, 2), speeds=[1.0])
    with pytest.raises(ValueError, match=r"forward=-1.0 must be finite and at least 0"):
        sleeping_run(make_schedule("gpipe", 2, 2), -1.0)
    with pytest.raises(ValueError, match="message_bytes=-1 must be at least 0"):
        sleeping_run(make_schedule("gpipe", 2, 2), message_bytes=-1)


def test_a_run_that_fails_says_what_its_ranks_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a hang nor half an answer: here the ranks find a NumPy that breaks."""
    (tmp_path / "numpy.py").write_text("raise ImportError('worn out')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(ChildProcessError, match=r"^the run on 2 processes failed: (.|\n)*ImportError: worn out"):
        sleeping_run(make_schedule("gpipe", 2, 2), 0.01, 0.01, 0.01)
