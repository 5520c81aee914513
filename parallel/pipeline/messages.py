"""The messages of a schedule: they follow from its actions, for the checker and for the runner alike.

A forward needs the activations of the stage before and feeds the stage after; a backward to the input needs
the gradient from the stage after and feeds the stage before. A weight gradient stays where it is.
"""

from typing import NamedTuple

from parallel.pipeline.schedule import Action, Schedule


class Message(NamedTuple):
    """One array that an action hands to another one.

    Args:
        content: `"activation"` or `"gradient"`.
        micro_batch: the micro-batch it belongs to.
        stage: the stage it is for.
        source: the rank that sends it.
        dest: the rank that receives it; equal to `source` where a rank holds both stages.
        tag: MPI tag, different for every message of a run, so that none is taken for another.
    """

    content: str
    micro_batch: int
    stage: int
    source: int
    dest: int
    tag: int

    def __str__(self) -> str:
        """Return the words used in a report."""
        return f"the {self.content} of micro-batch {self.micro_batch}"


def received(schedule: Schedule, rank: int, action: Action) -> Message | None:
    """Return the message that `rank` must have before `action`, or None if it needs none."""
    stage = schedule.stage_of(rank, action)
    if action.kind == "F" and stage > 0:
        return _message(schedule, "activation", action.micro_batch, stage - 1, stage)
    if action.kind in ("B", "BW") and stage < schedule.stages - 1:
        return _message(schedule, "gradient", action.micro_batch, stage + 1, stage)
    return None


def sent(schedule: Schedule, rank: int, action: Action) -> Message | None:
    """Return the message that `rank` sends after `action`, or None if it sends none."""
    stage = schedule.stage_of(rank, action)
    if action.kind == "F" and stage < schedule.stages - 1:
        return _message(schedule, "activation", action.micro_batch, stage, stage + 1)
    if action.kind in ("B", "BW") and stage > 0:
        return _message(schedule, "gradient", action.micro_batch, stage, stage - 1)
    return None


def _message(schedule: Schedule, content: str, micro_batch: int, from_stage: int, stage: int) -> Message:
    source = schedule.holders[from_stage, micro_batch]
    dest = schedule.holders[stage, micro_batch]
    tag = 2 * (micro_batch * schedule.stages + stage) + (content == "gradient")
    return Message(content, micro_batch, stage, source, dest, tag)
