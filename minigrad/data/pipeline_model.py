"""What the input pipeline costs: a model of three stages before the device, and the same with sleeps, measured.

A batch is fetched (disk), processed (CPU), transferred (bus) and then computed on (GPU). One after the other, a
step takes the sum of the four. Overlapped, each stage works on a batch of its own, and in the long run the slowest
one sets the pace:

    t_iter = max(fetch, process, transfer)        GPU utilisation = R_pipeline / R_compute, at most 1

where R_pipeline = 1 / t_iter and R_compute = 1 / compute are batches per second.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from minigrad.trace import Span


@dataclass(frozen=True)
class InputPipeline:
    """Seconds that each stage needs for a batch.

    Attributes:
        fetch, process, transfer: of the input pipeline.
        compute: of the model on the device.

    Raises:
        ValueError: a time that is negative, or no compute.

    >>> pipeline = InputPipeline(fetch=2e-3, process=8e-3, transfer=1e-3, compute=4e-3)
    >>> pipeline.seconds_per_batch(overlapped=True), pipeline.utilisation(overlapped=True)
    (0.008, 0.5)
    >>> pipeline.bottleneck()
    ('process', 'process on more workers, or less')
    """

    fetch: float
    process: float
    transfer: float
    compute: float

    def __post_init__(self) -> None:
        for name, seconds in self.stages():
            if not seconds >= 0.0:
                raise ValueError(f"{name}={seconds} must not be negative")
        if self.compute == 0.0:
            raise ValueError("compute=0 must be positive: a device that needs no time is never used")

    def stages(self) -> list[tuple[str, float]]:
        """(name, seconds) in the order in which a batch goes through them."""
        return [(name, getattr(self, name)) for name in ("fetch", "process", "transfer", "compute")]

    def seconds_per_batch(self, overlapped: bool) -> float:
        """t_iter of the input pipeline alone: the largest of its three times, or their sum."""
        times = (self.fetch, self.process, self.transfer)
        return max(times) if overlapped else sum(times)

    def step_seconds(self, overlapped: bool) -> float:
        """Of a training step in the long run: the slower of pipeline and device, or their sum."""
        pipeline = self.seconds_per_batch(overlapped)
        return max(pipeline, self.compute) if overlapped else pipeline + self.compute

    def utilisation(self, overlapped: bool) -> float:
        """Part of the time in which the device computes.

        Overlapped this is R_pipeline / R_compute, or 1 where the pipeline is faster than the device.
        """
        return self.compute / self.step_seconds(overlapped)

    def bottleneck(self) -> tuple[str, str]:
        """The slowest stage, and what helps against it."""
        name = max(self.stages(), key=lambda stage: stage[1])[0]
        return name, {
            "fetch": "fetch several batches at once, or keep them nearer",
            "process": "process on more workers, or less",
            "transfer": "send fewer bytes: shorter types, or process on the device",
            "compute": "the input pipeline keeps up; make the model's step faster",
        }[name]

    def spans(self, batches: int, overlapped: bool) -> list[Span]:
        """When each stage would work on each batch, by the model.

        A stage begins a batch when the one before has finished it and the stage itself is free; without overlap,
        when the whole batch before is done.

        Returns:
            One Span per stage and batch; `stream` is the number of the stage.
        """
        free = [0.0] * 4
        spans = []
        for batch in range(batches):
            ready = 0.0 if overlapped else free[3]
            for stage, (name, seconds) in enumerate(self.stages()):
                start = max(ready, free[stage])
                ready = free[stage] = start + seconds
                spans.append(Span(0, stage, f"{name} {batch}", start, ready, "compute"))
        return spans

    def measure(self, batches: int, overlapped: bool, depth: int = 2) -> list[Span]:
        """Run it with a sleep for every stage: on one thread, or on four with queues between them.

        Args:
            batches: how many go through.
            overlapped: four threads.
            depth: how many batches a queue holds; a stage that is ahead by more waits.

        Returns:
            Spans as from `spans`, of real time.
        """
        start = time.perf_counter()
        if not overlapped:
            return [
                _sleep(stage, name, seconds, batch, start)
                for batch in range(batches)
                for stage, (name, seconds) in enumerate(self.stages())
            ]
        found: list[Span] = []
        queues: list[queue.Queue[int]] = [queue.Queue(depth) for _ in range(3)]

        def work(stage: int, name: str, seconds: float) -> None:
            for number in range(batches):
                batch = number if stage == 0 else queues[stage - 1].get()
                found.append(_sleep(stage, name, seconds, batch, start))
                if stage < 3:
                    queues[stage].put(batch)

        threads = [
            threading.Thread(target=work, args=(stage, name, seconds))
            for stage, (name, seconds) in enumerate(self.stages())
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(found, key=lambda span: (span.start, span.stream))


def measured(spans: list[Span]) -> dict[str, Any]:
    """Seconds per step and utilisation of the device, from spans: from the first computed batch to the last.

    The first batch fills the pipeline and is left out.

    Raises:
        ValueError: fewer than two batches.
    """
    compute = sorted((span for span in spans if span.stream == 3), key=lambda span: span.start)
    if len(compute) < 2:
        raise ValueError(f"{len(compute)} batches were computed; a pace needs at least 2")
    whole = compute[-1].end - compute[0].end
    return {
        "step_seconds": whole / (len(compute) - 1),
        "utilisation": sum(span.duration for span in compute[1:]) / whole,
    }


def _sleep(stage: int, name: str, seconds: float, batch: int, beginning: float) -> Span:
    start = time.perf_counter() - beginning
    time.sleep(seconds)
    return Span(0, stage, f"{name} {batch}", start, time.perf_counter() - beginning, "compute")
