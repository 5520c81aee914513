"""A pipeline schedule is data: for every rank the tuple of actions it carries out, one after the other.

A model is cut into *stages*, a batch into *micro-batches*. An action is one piece of compute on one
micro-batch; which messages go where follows from the actions (see messages.py), so a schedule does not name
them. Schedules are made by the functions at the end of this file, or parsed from a few lines of text::

    rank 0 stage 0: F0 F1 BW0 BW1
    rank 1 stage 1: F0 F1 BW0 BW1
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

KINDS = ("F", "B", "W", "BW")
"""Forward, backward to the input, backward to the weights, and both backward halves fused into one."""


class Action(NamedTuple):
    """One piece of compute: what to do, for which micro-batch, in which of the rank's stages.

    Args:
        kind: one of `KINDS`.
        micro_batch: number of the micro-batch, from 0.
        chunk: which of this rank's stages, from 0; a rank with a single stage has only chunk 0.

    >>> str(Action("BW", 3)), str(Action("F", 0, chunk=1))
    ('BW3', 'F0.1')
    """

    kind: str
    micro_batch: int
    chunk: int = 0

    def __str__(self) -> str:
        """Return the letters used in grids and in the text form."""
        suffix = f".{self.chunk}" if self.chunk else ""
        return f"{self.kind}{self.micro_batch}{suffix}"


class Cell(NamedTuple):
    """Where an action stands in a schedule: the rank, and its position in that rank's tuple."""

    rank: int
    position: int


@dataclass(frozen=True)
class Schedule:
    """What every rank does, in order, and which stages it holds.

    Args:
        steps: `steps[rank]` are the rank's actions in their order.
        placement: `placement[rank][chunk]` is the stage that the rank holds as this chunk.

    Raises:
        ValueError: an action of unknown kind, a chunk the rank does not hold, or a gap between the stages.
    """

    steps: tuple[tuple[Action, ...], ...]
    placement: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Refuse what has no meaning; whether the schedule is also right is the checker's business."""
        if len(self.steps) != len(self.placement):
            raise ValueError(f"steps has {len(self.steps)} ranks and placement {len(self.placement)}, must be equal")
        held = sorted({stage for chunks in self.placement for stage in chunks})
        if not held or held != list(range(len(held))):
            raise ValueError(f"placement holds stages {held}, must be 0, 1, 2, ... without a gap")
        for cell, action in self.cells():
            if action.kind not in KINDS:
                raise ValueError(f"kind={action.kind!r} of rank {cell.rank} must be one of {KINDS}")
            if action.micro_batch < 0:
                raise ValueError(f"micro_batch={action.micro_batch} of rank {cell.rank} must be at least 0")
            if not 0 <= action.chunk < len(self.placement[cell.rank]):
                raise ValueError(
                    f"chunk={action.chunk} of rank {cell.rank} must be less than the number of its stages, "
                    f"{len(self.placement[cell.rank])}"
                )

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return len(self.steps)

    @cached_property
    def stages(self) -> int:
        """Number of stages."""
        return 1 + max(stage for chunks in self.placement for stage in chunks)

    @cached_property
    def micro_batches(self) -> int:
        """Number of micro-batches: one more than the highest number that occurs."""
        return 1 + max((action.micro_batch for _, action in self.cells()), default=-1)

    @cached_property
    def holders(self) -> dict[tuple[int, int], int]:
        """The rank that runs each (stage, micro-batch) forward: where its messages go and come from.

        Two ranks may hold copies of one stage; the forward actions say which of them serves a micro-batch.
        """
        return {
            (self.stage_of(cell.rank, action), action.micro_batch): cell.rank
            for cell, action in self.cells()
            if action.kind == "F"
        }

    def stage_of(self, rank: int, action: Action) -> int:
        """Return the stage in which `rank` carries out `action`."""
        return self.placement[rank][action.chunk]

    def cells(self) -> Iterator[tuple[Cell, Action]]:
        """Yield every action with its place, rank by rank."""
        for rank, actions in enumerate(self.steps):
            for position, action in enumerate(actions):
                yield Cell(rank, position), action


def to_text(schedule: Schedule) -> str:
    """Return the schedule as text, one line a rank; `parse` reads it back.

    >>> print(to_text(gpipe(stages=2, micro_batches=2)), end="")
    rank 0 stage 0: F0 F1 BW0 BW1
    rank 1 stage 1: F0 F1 BW0 BW1
    """
    lines = []
    for rank, actions in enumerate(schedule.steps):
        stages = ",".join(str(stage) for stage in schedule.placement[rank])
        lines.append(f"rank {rank} stage {stages}: {' '.join(map(str, actions))}".rstrip() + "\n")
    return "".join(lines)


_LINE = re.compile(r"rank (?P<rank>\d+) stage (?P<stages>\d+(,\d+)*):(?P<actions>.*)")
_ACTION = re.compile(r"(?P<kind>F|BW|B|W)(?P<micro_batch>\d+)(\.(?P<chunk>\d+))?")


def parse(text: str) -> Schedule:
    """Read a schedule from its text form.

    Args:
        text: one line a rank, ranks from 0 upwards: `rank 0 stage 0: F0 F1 BW0 BW1`. A rank with several
            stages lists them, `stage 0,2`, and names the second as chunk 1: `F0 F0.1`. Empty lines, and all
            that follows a `#`, do not count.

    Raises:
        ValueError: a line or an action that is not of this form, with the number of the line.
    """
    steps: list[tuple[Action, ...]] = []
    placement: list[tuple[int, ...]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number}: {line!r} must look like 'rank 0 stage 0: F0 F1 BW0 BW1'")
        if int(match["rank"]) != len(steps):
            raise ValueError(f"line {number}: rank={match['rank']} must be {len(steps)}, ranks count from 0")
        placement.append(tuple(int(stage) for stage in match["stages"].split(",")))
        steps.append(tuple(_parse_action(word, number) for word in match["actions"].split()))
    return Schedule(tuple(steps), tuple(placement))


def _parse_action(word: str, number: int) -> Action:
    match = _ACTION.fullmatch(word)
    if match is None:
        raise ValueError(
            f"line {number}: action {word!r} must be one of {', '.join(KINDS)} with the number of its "
            "micro-batch, and .chunk if the rank has several stages"
        )
    return Action(match["kind"], int(match["micro_batch"]), int(match["chunk"] or 0))


def gpipe(stages: int, micro_batches: int) -> Schedule:
    """All forwards, then all backwards: the simplest pipeline, which keeps every micro-batch in memory.

    Args:
        stages: number of stages, one a rank, at least 1.
        micro_batches: number of micro-batches, at least 1.

    Returns:
        A schedule of (micro_batches + stages - 1) (F + BW) time units, if all stages cost the same.

    Raises:
        ValueError: `stages` or `micro_batches` is less than 1.

    Source: Huang et al., GPipe (2019), section 2.3 and figure 2(c).

    Differs: the paper's figure runs the backwards in reverse order. Here they run in ascending order, as in
    1F1B, so that both schedules add the weight gradients in the same order and agree to the last bit. The
    time and the memory are the same.
    """
    _refuse_less_than_one(stages, micro_batches)
    forwards = tuple(Action("F", i) for i in range(micro_batches))
    backwards = tuple(Action("BW", i) for i in range(micro_batches))
    return _one_stage_a_rank([forwards + backwards] * stages)


def one_f_one_b(stages: int, micro_batches: int) -> Schedule:
    """One forward, one backward in turn: as fast as GPipe, with at most `stages` micro-batches in memory.

    Rank r runs `stages - 1 - r` forwards to warm up, and from then on starts a backward after every forward,
    so that a micro-batch leaves its memory as early as it can.

    Args:
        stages: number of stages, one a rank, at least 1.
        micro_batches: number of micro-batches, at least 1.

    Returns:
        A schedule of (micro_batches + stages - 1) (F + BW) time units, if all stages cost the same. It needs
        non-blocking sends: neighbours send to each other at the same time.

    Raises:
        ValueError: `stages` or `micro_batches` is less than 1.

    Source: Narayanan et al., Memory-efficient pipeline-parallel DNN training (2021), PipeDream-Flush;
    the steady order is from Narayanan et al., PipeDream (2019), section 3.2.

    >>> print(to_text(one_f_one_b(stages=2, micro_batches=3)), end="")
    rank 0 stage 0: F0 F1 BW0 F2 BW1 BW2
    rank 1 stage 1: F0 BW0 F1 BW1 F2 BW2
    """
    _refuse_less_than_one(stages, micro_batches)
    ranks = []
    for rank in range(stages):
        warm_up = min(stages - 1 - rank, micro_batches)
        actions = [Action("F", i) for i in range(warm_up)]
        for i in range(micro_batches):
            if i + warm_up < micro_batches:
                actions.append(Action("F", i + warm_up))
            actions.append(Action("BW", i))
        ranks.append(tuple(actions))
    return _one_stage_a_rank(ranks)


SCHEDULES = {"gpipe": gpipe, "1f1b": one_f_one_b}
"""The schedules by name; a row here puts a new one under all the tests."""


def _one_stage_a_rank(steps: list[tuple[Action, ...]]) -> Schedule:
    return Schedule(tuple(steps), tuple((rank,) for rank in range(len(steps))))


def _refuse_less_than_one(stages: int, micro_batches: int) -> None:
    if stages < 1:
        raise ValueError(f"stages={stages} must be at least 1")
    if micro_batches < 1:
        raise ValueError(f"micro_batches={micro_batches} must be at least 1")
