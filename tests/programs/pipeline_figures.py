"""The figures of docs/published.md that are about pipelines, each as a program that computes it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from parallel.pipeline import (
    Action,
    Schedule,
    dualpipe,
    gpipe,
    interleaved_one_f_one_b,
    kept_versions,
    one_f_one_b,
    parse,
    peak_in_flight,
    pipedream,
    pipedream_2bw,
    price,
    times,
    to_text,
    weight_versions,
    zb_h1,
    zb_h2,
    zb_v,
)
from programs.quadratic_pipeline import measured_limit

STAGES, MICRO_BATCHES = 4, 8
IDEAL = MICRO_BATCHES * 3.0  # a forward of 1 s and a backward of 2 s for each micro-batch
SHAPES = ((2, 4), (4, 8), (4, 16), (8, 32))  # stages and micro-batches of the table of makespans


def interleaved_bubble(stages: int, micro_batches: int, chunks: int) -> float:
    """Bubble of ideal time, if a chunk costs its share of a stage."""
    share = 1.0 / chunks
    schedule = interleaved_one_f_one_b(stages, micro_batches, chunks)
    return times(schedule, share, share, share).makespan / IDEAL - 1.0


def longest_idle(schedule: Schedule) -> float:
    """Longest time for which a rank waits between its first and its last action."""
    when = times(schedule)
    return max(when.idle(rank) for rank in range(schedule.ranks))


def pipedream_delay(stage: int, vertical_sync: bool = False) -> float:
    """Versions by which a stage's gradient is late, once the pipeline is full."""
    schedule = pipedream(STAGES, MICRO_BATCHES, vertical_sync=vertical_sync)
    return weight_versions(schedule)[stage, MICRO_BATCHES - 1].delay


def forwards_alone() -> float:
    """Five micro-batches forward through stages of 1, 3 and 2 s."""
    forwards = tuple(Action("F", i) for i in range(5))
    return times(Schedule((forwards,) * 3, ((0,), (1,), (2,))), [1.0, 3.0, 2.0]).makespan


def cut_backwards() -> float:
    """1F1B with B and then W in the place of each BW."""
    return price(parse(re.sub(r"BW(\d+)", r"B\1 W\1", to_text(one_f_one_b(STAGES, MICRO_BATCHES))))).makespan


class LargePrice(NamedTuple):
    """Of 64 stages and 512 micro-batches: the makespan, and the seconds of the processor that the price took."""

    makespan: float
    seconds: float


@cache
def large_price() -> LargePrice:
    """Compute it once for all who ask."""
    start = time.process_time()
    makespan = price(one_f_one_b(64, 512)).makespan
    return LargePrice(makespan, time.process_time() - start)


PIPELINE: dict[str, Callable[[], float]] = {
    "gpipe-bubble": lambda: 1.0 - IDEAL / price(gpipe(STAGES, MICRO_BATCHES)).time,
    "1f1b-bubble": lambda: price(one_f_one_b(STAGES, MICRO_BATCHES)).time / IDEAL - 1.0,
    "gpipe-in-flight": lambda: min(peak_in_flight(gpipe(STAGES, MICRO_BATCHES))),
    "1f1b-in-flight": lambda: max(peak_in_flight(one_f_one_b(STAGES, MICRO_BATCHES))),
    "1f1b-in-flight-last": lambda: peak_in_flight(one_f_one_b(STAGES, MICRO_BATCHES))[-1],
    "interleaved-bubble": lambda: interleaved_bubble(STAGES, MICRO_BATCHES, chunks=2),
    "interleaved-in-flight": lambda: peak_in_flight(interleaved_one_f_one_b(STAGES, MICRO_BATCHES, chunks=2))[0],
    "zb-h1-bubble": lambda: times(zb_h1(STAGES, MICRO_BATCHES)).makespan - IDEAL,
    "zb-h1-dear-w": lambda: times(zb_h1(2, 2), 1, 1, 2).makespan,
    "zb-h1-in-flight": lambda: max(peak_in_flight(zb_h1(STAGES, MICRO_BATCHES))),
    "zb-h1-in-flight-last": lambda: peak_in_flight(zb_h1(STAGES, MICRO_BATCHES))[-1],
    "zb-h2-bubble": lambda: longest_idle(zb_h2(STAGES, MICRO_BATCHES)),
    "zb-h2-in-flight": lambda: max(peak_in_flight(zb_h2(STAGES, MICRO_BATCHES))),
    "zb-v-bubble": lambda: longest_idle(zb_v(STAGES, MICRO_BATCHES)),
    "zb-v-in-flight": lambda: max(peak_in_flight(zb_v(STAGES, MICRO_BATCHES))) / 2,
    "b-then-w": cut_backwards,
    "forwards-alone": forwards_alone,
    **{f"makespan-gpipe-{p}-{m}": lambda p=p, m=m: price(gpipe(p, m)).makespan for p, m in SHAPES},
    **{f"makespan-1f1b-{p}-{m}": lambda p=p, m=m: price(one_f_one_b(p, m)).makespan for p, m in SHAPES},
    **{f"makespan-zb-h1-{p}-{m}": lambda p=p, m=m: price(zb_h1(p, m)).makespan for p, m in SHAPES},
    **{
        f"makespan-interleaved-{p}-{m}": lambda p=p, m=m: price(interleaved_one_f_one_b(p, m), 0.5, 0.5, 0.5).makespan
        for p, m in SHAPES
    },
    "makespan-1f1b-64-512": lambda: large_price().makespan,
    "dualpipe-bubble": lambda: times(dualpipe(8, 20)).makespan - 20 * 3.0,
    "dualpipe-in-flight": lambda: max(peak_in_flight(dualpipe(8, 20))),
    "pipedream-delay": lambda: pipedream_delay(0),
    "pipedream-delay-1": lambda: pipedream_delay(1),
    "pipedream-delay-2": lambda: pipedream_delay(2),
    "pipedream-delay-3": lambda: pipedream_delay(3),
    "pipedream-versions": lambda: max(kept_versions(pipedream(STAGES, MICRO_BATCHES))),
    "vertical-sync-delay": lambda: pipedream_delay(STAGES - 1, vertical_sync=True),
    "vertical-sync-limit-2": lambda: measured_limit(2, 0.999, 1.001),
    "vertical-sync-limit-4": lambda: measured_limit(4, 0.4446, 0.4455),
    "2bw-delay": lambda: weight_versions(pipedream_2bw(STAGES, MICRO_BATCHES))[0, MICRO_BATCHES - 1].delay,
    "2bw-versions": lambda: max(kept_versions(pipedream_2bw(STAGES, MICRO_BATCHES))),
}
