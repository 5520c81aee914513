"""The text form of a schedule: one line a rank, to print, to keep in a file, and to write by hand."""

import re

from parallel.pipeline.schedule import KINDS, WEIGHTS, Action, Overlapped, Schedule, Step


def to_text(schedule: Schedule) -> str:
    """Return the schedule as text, one line a rank; `parse` reads it back.

    >>> from parallel.pipeline import gpipe
    >>> print(to_text(gpipe(stages=2, micro_batches=2)), end="")
    rank 0 stage 0: F0 F1 BW0 BW1
    rank 1 stage 1: F0 F1 BW0 BW1
    """
    lines = []
    if not schedule.synchronous:
        lines.append(f"weights {schedule.weights}, update every {schedule.update_every}\n")
    for rank, steps in enumerate(schedule.steps):
        stages = ",".join(str(stage) for stage in schedule.placement[rank])
        lines.append(f"rank {rank} stage {stages}: {' '.join(map(str, steps))}".rstrip() + "\n")
    return "".join(lines)


_WEIGHTS = re.compile(r"weights (?P<weights>[a-z-]+), update every (?P<every>\d+)")
_LINE = re.compile(r"rank (?P<rank>\d+) stage (?P<stages>\d+(,\d+)*):(?P<steps>.*)")
_ACTION = re.compile(r"(?P<kind>F|BW|B|W)(?P<micro_batch>\d+)(\.(?P<chunk>\d+))?")


def parse(text: str, name: str = "") -> Schedule:
    """Read a schedule from its text form.

    Args:
        text: one line a rank, ranks from 0 upwards: `rank 0 stage 0: F0 F1 BW0 BW1`. A rank with several
            stages lists them, `stage 0,2`, and names the second as chunk 1: `F0 F0.1`. Two actions that
            overlap are joined: `F2&BW0`. An asynchronous schedule begins with the line
            `weights stash, update every 1`, with a key of `WEIGHTS`. Empty lines, and all that follows a
            `#`, do not count.
        name: what to call the schedule.

    Raises:
        ValueError: a line or an action that is not of this form, with the number of the line; or nothing at all.

    >>> parse("rank 0 stage 0: F0 F1&BW0 BW1").steps[0][1].actions
    (Action(kind='F', micro_batch=1, chunk=0), Action(kind='BW', micro_batch=0, chunk=0))
    """
    steps: list[tuple[Step, ...]] = []
    placement: list[tuple[int, ...]] = []
    weights, update_every = "flush", 0
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        if not steps and line.startswith("weights"):
            weights, update_every = _parse_weights(line, number)
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number}: {line!r} must look like 'rank 0 stage 0: F0 F1 BW0 BW1'")
        if int(match["rank"]) != len(steps):
            raise ValueError(f"line {number}: rank={match['rank']} must be {len(steps)}, ranks count from 0")
        placement.append(tuple(int(stage) for stage in match["stages"].split(",")))
        steps.append(tuple(_parse_step(word, number) for word in match["steps"].split()))
    if not steps:
        raise ValueError("text has no rank, must have lines such as 'rank 0 stage 0: F0 F1 BW0 BW1'")
    return Schedule(tuple(steps), tuple(placement), name, weights, update_every)


def _parse_weights(line: str, number: int) -> tuple[str, int]:
    match = _WEIGHTS.fullmatch(line)
    if match is None or match["weights"] not in WEIGHTS:
        raise ValueError(
            f"line {number}: {line!r} must look like 'weights stash, update every 1', with one of {', '.join(WEIGHTS)}"
        )
    return match["weights"], int(match["every"])


def _parse_step(word: str, number: int) -> Step:
    actions = [_parse_action(part, number) for part in word.split("&")]
    if len(actions) > 2:
        raise ValueError(f"line {number}: step {word!r} has {len(actions)} actions, must have one or two")
    return actions[0] if len(actions) == 1 else Overlapped(*actions)


def _parse_action(word: str, number: int) -> Action:
    match = _ACTION.fullmatch(word)
    if match is None:
        raise ValueError(
            f"line {number}: action {word!r} must be one of {', '.join(KINDS)} with the number of its "
            "micro-batch, and .chunk if the rank has several stages"
        )
    return Action(match["kind"], int(match["micro_batch"]), int(match["chunk"] or 0))
