"""A schedule on real processes whose stages sleep: the priced run, with the time of this machine.

What sleeps needs no processor, so even two cores can play sixteen ranks. The runner, the schedule and the messages are
those of training. So this is the trial of the price: it has to take as long, in the same order.

`sleeping_run` starts the ranks; each of them runs this file as a program.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.trace import Span
from parallel.pipeline.checker import check
from parallel.pipeline.costed_stage import CostedStage, costed_stages
from parallel.pipeline.runner import run
from parallel.pipeline.schedule import Schedule
from parallel.pipeline.stage import Array
from parallel.pipeline.text import parse, to_text
from parallel.pipeline.timing import Cost, each_stage, times

START = 60.0  # seconds that the ranks may take to start and to end
SLACK = 3.0  # times the time without messages that the run itself may take


class SleepingStage(CostedStage):
    """A stage of known costs on a real rank: it sleeps for as long, and its messages have contents.

    Args:
        comm: as `observe` returns it; the rest is as in `CostedStage`.
    """

    def __init__(self, comm: Any, *args: Any) -> None:
        super().__init__(comm, *args)
        self.message = np.zeros(self.message.nbytes, np.uint8)

    def buffer(self) -> Array:
        """Return an array of its own for each message: several may be under way."""
        return np.empty_like(self.message)

    def _pass(self, kind: str, micro_batch: int) -> None:
        time.sleep(self.seconds(kind, micro_batch))


def sleeping_run(
    schedule: Schedule,
    forward: Cost = 0.05,
    backward_input: Cost = 0.05,
    backward_weight: Cost = 0.05,
    *,
    speeds: Sequence[float] | None = None,
    message_bytes: int = 0,
    overlap_is_free: bool = False,
) -> list[Span]:
    """Run a schedule under mpirun on as many processes as it has ranks, with stages that sleep.

    Args:
        schedule: the schedule; it is checked first.
        forward: seconds of one F, of each stage or of all. Sleeps of some 20 ms are long against what else happens.
        backward_input: seconds of one B, likewise.
        backward_weight: seconds of one W, likewise; a BW takes the sum of both.
        speeds: of the ranks, as those of a cluster: 0.5 sleeps twice as long. None for 1 on all.
        message_bytes: size of one message between stages.
        overlap_is_free: whether two overlapped actions take as long as the longer one, not as both.

    Returns:
        What happened, in real seconds since the first action began: the actions are spans of kind "compute".

    Raises:
        ScheduleError: the schedule is wrong.
        ValueError: a cost is negative or not finite, or there is not one for each stage; or so with the speeds.
        ChildProcessError: the ranks did not get to their end, with what they said.
        MpiNotFoundError: no mpirun fits the MPI that mpi4py loads.
    """
    from parallel.comm.launch import launch

    check(schedule)
    if message_bytes < 0:
        raise ValueError(f"message_bytes={message_bytes} must be at least 0")
    speeds = [1.0] * schedule.ranks if speeds is None else list(speeds)
    if len(speeds) != schedule.ranks or not all(0 < speed < math.inf for speed in speeds):
        raise ValueError(f"speeds={speeds} must be finite and above 0, one for each of {schedule.ranks} ranks")
    job = {
        "schedule": to_text(schedule),
        "costs": {
            "F": each_stage("forward", forward, schedule.stages),
            "B": each_stage("backward_input", backward_input, schedule.stages),
            "W": each_stage("backward_weight", backward_weight, schedule.stages),
            "memory": [0.0] * schedule.stages,
        },
        "speeds": speeds,
        "message_bytes": message_bytes,
        "overlap_is_free": overlap_is_free,
    }
    seconds = times(schedule, forward, backward_input, backward_weight).makespan / min(speeds)
    with tempfile.TemporaryDirectory() as folder:
        wanted, found = Path(folder, "job.json"), Path(folder, "spans.json")
        wanted.write_text(json.dumps(job, default=list), encoding="utf-8")
        argv = ["-m", "parallel.pipeline.sleeping", str(wanted), str(found)]
        ended = launch(argv, schedule.ranks, timeout=START + SLACK * seconds, capture=True)
        if ended.returncode != 0:
            raise ChildProcessError(f"the run on {schedule.ranks} processes failed: {ended.stderr.strip()}")
        spans = [Span(*row) for row in json.loads(found.read_text(encoding="utf-8"))]
    begin = min(span.start for span in spans if span.kind == "compute")
    return [
        span._replace(start=max(0.0, span.start - begin), end=span.end - begin) for span in spans if span.end >= begin
    ]


def order_of_actions(spans: Sequence[Span], rank: int) -> list[str]:
    """The actions of a rank in the order in which they began, in a priced or a real run.

    >>> from parallel.pipeline import one_f_one_b, price
    >>> order_of_actions(price(one_f_one_b(2, 2)).spans, rank=1)
    ['F0', 'BW0', 'F1', 'BW1']
    """
    mine = [span for span in spans if span.rank == rank and span.kind == "compute"]
    return [span.name for span in sorted(mine, key=lambda span: span.start)]


def main(wanted: str, found: str) -> None:
    """One rank: run the job of one file, and on rank 0 write the spans of all ranks to another."""
    from mpi4py import MPI

    from parallel.comm import collect_spans, observe

    job = json.loads(Path(wanted).read_text(encoding="utf-8"))
    schedule = parse(job["schedule"])
    comm = observe(MPI.COMM_WORLD)
    speed = job["speeds"][comm.Get_rank()]
    costs = {kind: [cost / speed for cost in each] for kind, each in job["costs"].items()}
    stages = costed_stages(comm, schedule, costs, job["message_bytes"], job["overlap_is_free"], SleepingStage)
    batch = np.zeros(schedule.micro_batches)
    run(comm, schedule, stages, batch, batch, checked=True)
    spans = collect_spans(comm)
    if comm.Get_rank() == 0:
        Path(found).write_text(json.dumps(spans), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
