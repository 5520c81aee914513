"""Schedules in the CSV form of `torch.distributed.pipelining`: one line a rank, one cell a step.

A cell is the stage, a letter and the micro-batch: `2F0`. The letters differ from ours::

    ours      PyTorch's
    F         F                        forward
    B         I                        gradient of the input
    W         W                        gradient of the weights
    BW        B                        both in one
    F3&BW1    (0F3;7B1)OVERLAP_F_B     overlapped pair

Files of older versions of PyTorch have B and BW where newer ones have I and B. The two can be told apart: the
B of a micro-batch that also has a W can only be the gradient of the input.
"""

import csv
import io
import re
from typing import NamedTuple

from parallel.pipeline.schedule import Action, Overlapped, Schedule, Step

_OURS = {"F": "F", "I": "B", "W": "W", "B": "BW", "BW": "BW"}
_THEIRS = {"F": "F", "B": "I", "W": "W", "BW": "B"}
_CELL = re.compile(r"(?P<stage>\d+)(?P<letter>F|I|BW|B|W)(?P<micro_batch>\d+)")
_PAIR = re.compile(r"\((?P<first>[^;]*);(?P<second>[^;]*)\)OVERLAP_F_B")
_NO_COMPUTE = re.compile(r"\d+(SEND_F|RECV_F|SEND_B|RECV_B|UNSHARD|RESHARD|REDUCE_GRAD)\d*")


class _Read(NamedTuple):
    """An action as it stands in a cell, with its letter translated."""

    kind: str
    micro_batch: int
    stage: int


def from_pytorch_csv(text: str, name: str = "") -> Schedule:
    """Read a schedule from the CSV form of PyTorch, with or without its communication.

    Args:
        text: one line a rank, as PyTorch dumps it. Empty cells are idle steps; cells that send, receive,
            gather or reduce are left out, because messages follow from the actions.
        name: what to call the schedule.

    Returns:
        The schedule; the chunks of a rank are its stages in ascending order.

    Raises:
        ValueError: a cell that is not of this form, with the numbers of its line and cell; or nothing at all.

    Source: PyTorch 2.9, torch/distributed/pipelining/schedules.py.

    >>> schedule = from_pytorch_csv("0F0,0F1,,0I0,0W0,0B1")
    >>> print(*schedule.steps[0])
    F0 F1 B0 W0 BW1
    """
    lines = [
        [_read_cell(cell.strip(), line, column) for column, cell in enumerate(row, start=1) if _computes(cell.strip())]
        for line, row in enumerate(csv.reader(io.StringIO(text)), start=1)
    ]
    if not any(lines):
        raise ValueError("text has no actions, must have cells such as '2F0', a line for each rank")
    placement = tuple(tuple(sorted({read.stage for cell in row for read in cell})) for row in lines)
    split = {(read.stage, read.micro_batch) for row in lines for cell in row for read in cell if read.kind == "W"}
    steps = tuple(
        tuple(_step([_action(read, split, placement[rank]) for read in cell]) for cell in row)
        for rank, row in enumerate(lines)
    )
    return Schedule(steps, placement, name)


def _computes(cell: str) -> bool:
    return bool(cell) and not _NO_COMPUTE.fullmatch(cell)


def _read_cell(cell: str, line: int, column: int) -> list[_Read]:
    pair = _PAIR.fullmatch(cell)
    parts = [pair["first"].strip(), pair["second"].strip()] if pair else [cell]
    reads = []
    for part in parts:
        match = _CELL.fullmatch(part)
        if match is None:
            raise ValueError(
                f"line {line}, cell {column}: {cell!r} must look like '2F0', with F, I, W or B, "
                "or like '(0F3;7B1)OVERLAP_F_B'"
            )
        reads.append(_Read(_OURS[match["letter"]], int(match["micro_batch"]), int(match["stage"])))
    return reads


def _action(read: _Read, split: set[tuple[int, int]], stages: tuple[int, ...]) -> Action:
    kind = "B" if read.kind == "BW" and (read.stage, read.micro_batch) in split else read.kind
    return Action(kind, read.micro_batch, stages.index(read.stage))


def _step(actions: list[Action]) -> Step:
    return actions[0] if len(actions) == 1 else Overlapped(*actions)


def to_pytorch_csv(schedule: Schedule) -> str:
    """Return the schedule in the CSV form of PyTorch, its compute only.

    Args:
        schedule: a synchronous schedule; that form has no word for versions of the weights.

    Raises:
        ValueError: the schedule is asynchronous.

    >>> from parallel.pipeline import zb_h1
    >>> print(to_pytorch_csv(zb_h1(stages=2, micro_batches=2)), end="")
    0F0,0F1,0I0,0W0,0I1,0W1
    1F0,1I0,1F1,1I1,1W0,1W1
    """
    if not schedule.synchronous:
        raise ValueError(f"schedule.weights={schedule.weights!r} must be 'flush', PyTorch's form knows no other")
    lines = [",".join(_write(schedule, rank, step) for step in steps) for rank, steps in enumerate(schedule.steps)]
    return "".join(line + "\n" for line in lines)


def _write(schedule: Schedule, rank: int, step: Step) -> str:
    cells = [f"{schedule.stage_of(rank, a)}{_THEIRS[a.kind]}{a.micro_batch}" for a in step.actions]
    return cells[0] if len(cells) == 1 else f"({';'.join(cells)})OVERLAP_F_B"
