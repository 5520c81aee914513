"""A pipeline's run as a grid of its actions over time, with what every rank keeps drawn below."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad.trace import Span
from parallel.plots.look import ACTION_COLOURS, GRID, INK, LINES, new_figure, plain_axes, save, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KIND_WORDS = {"F": "F, forward", "B": "B, to the input", "W": "W, to the weights", "BW": "BW, both"}
LATER_CHUNK = 0.55  # opacity of all chunks but the first: the same hue, lighter
LETTER = 0.0065  # width of a letter of the larger size, as a part of the picture's
LARGE, SMALL = 7, 5  # sizes of letters, in points
MOST_LINES = len(LINES)  # ranks whose memory is drawn, each in its colour; of more, the first and last and some between
SAME = 1e-9  # as a part of the makespan: what lies closer is one moment
_NAME = re.compile(r"(BW|F|B|W)(\d+)(?:\.(\d+))?")


class Box(NamedTuple):
    """An action in the grid.

    Args:
        rank: who did it.
        kind: F, B, W or BW.
        number: of the micro-batch, as text.
        chunk: which of the rank's stages.
        start: seconds.
        end: seconds.
    """

    rank: int
    kind: str
    number: str
    chunk: int
    start: float
    end: float

    @property
    def label(self) -> str:
        """Its letters and numbers, as in the text form of a schedule."""
        return f"{self.kind}{self.number}" + (f".{self.chunk}" if self.chunk else "")


def pipeline_timeline(
    runs: Mapping[str, Iterable[Span]], path: str | Path | None = None, title: str | None = None
) -> "Figure":
    """Draw runs of pipelines one below the other: who did which action when, and what each rank kept meanwhile.

    The colour of a box is the kind of its action, the number that of its micro-batch; paler boxes are those of later
    chunks. Hatched is the time in which a rank computes nothing. A micro-batch is kept from the start of its F to
    the end of its W (or BW). All runs have the same time axis, so a priced run and a real one can be compared.

    Args:
        runs: the spans of each run, by what to write above it; actions are the "compute" spans named as "BW3.1".
        path: where to save the picture, if anywhere; the ending says in which format.
        title: what to write above all.

    Returns:
        The figure, which no window shows.

    Raises:
        ValueError: there is no run, or one without a single action.
    """
    boxes = {name: actions_of(spans) for name, spans in runs.items()}
    if not boxes:
        raise ValueError("runs is empty: name at least one run and give its spans")
    for name, own in boxes.items():
        if not own:
            raise ValueError(f"runs[{name!r}] has no actions: its spans must be those of a traced pipeline")
    longest = max(box.end for own in boxes.values() for box in own)
    scale, unit = time_unit(longest)
    ratios: list[float] = []
    for own in boxes.values():
        ratios += [max(1.0, 0.3 * _ranks(own)), 1.3]
    figure = new_figure(12, min(1.0 + sum(ratios), 30.0))
    panels = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios})[:, 0]
    for (name, own), grid, kept in zip(boxes.items(), panels[::2], panels[1::2], strict=True):
        _draw_grid(grid, own, scale, longest)
        grid.set_title(name, fontsize=10, color=INK, loc="left")
        _draw_kept(kept, own, scale)
    panels[-1].set_xlim(0, longest / scale)
    panels[-1].set_xlabel(f"time ({unit})")
    _legend(panels[0], [box for own in boxes.values() for box in own])
    if title:
        figure.suptitle(title, color=INK)
    return save(figure, path)


def pipeline_bars(
    bubbles: Mapping[str, float], memory: Mapping[str, Sequence[float]], path: str | Path | None = None,
    title: str | None = None, unit: str = "micro-batches",
) -> "Figure":  # fmt: skip
    """Draw schedules beside each other: how much of the ranks' time is lost, and what the fullest rank keeps.

    Args:
        bubbles: the bubble of each schedule, of the total time, by its name.
        memory: what each rank keeps at most; the bar is the fullest rank's, the tick in it the emptiest one's.
        path: where to save the picture, if anywhere.
        title: what to write above.
        unit: of `memory`.

    Returns:
        The figure, which no window shows.

    Raises:
        ValueError: there are no schedules, or `memory` is not of the same ones.
    """
    if not bubbles or list(bubbles) != list(memory):
        raise ValueError(f"memory is of {list(memory)}, must be of the schedules of bubbles, {list(bubbles)}")
    figure = new_figure(10, 1.4 + 0.32 * len(bubbles))
    left, right = figure.subplots(1, 2, sharey=True)
    places, names = range(len(bubbles)), list(bubbles)
    left.barh(places, [100 * bubbles[name] for name in names], color=LINES[0], height=0.7)
    right.barh(places, [max(memory[name]) for name in names], color=LINES[2], height=0.7)
    uneven = {y: min(memory[name]) for y, name in enumerate(names) if min(memory[name]) < max(memory[name])}
    feet, heads = [y - 0.35 for y in uneven], [y + 0.35 for y in uneven]
    right.vlines(list(uneven.values()), feet, heads, color="white", linewidth=2)
    for axes, values, form in (
        (left, [100 * bubbles[name] for name in names], "{:.1f} %"),
        (right, [max(memory[name]) for name in names], "{:.3g}"),
    ):
        axes.set_xlim(0, 1.15 * max([*values, 1e-9]))
        for y, value in zip(places, values, strict=True):
            axes.text(value, y, " " + form.format(value), va="center", fontsize=8, color=INK)
        axes.xaxis.grid(color=GRID)
        axes.set_axisbelow(True)
        plain_axes(axes, ("top", "right", "left"))
    left.set_yticks(list(places), names)
    left.invert_yaxis()
    left.set_title("bubble, of the total time (%)", fontsize=10, color=INK)
    right.set_title(f"kept on the fullest rank ({unit}; white: the emptiest)", fontsize=10, color=INK)
    if title:
        figure.suptitle(title, color=INK)
    return save(figure, path)


def actions_of(spans: Iterable[Span]) -> list[Box]:
    """The actions among the spans of a run: "compute" spans with names such as "BW3.1"."""
    boxes = []
    for span in spans:
        match = _NAME.fullmatch(span.name) if span.kind == "compute" else None
        if match:
            boxes.append(Box(span.rank, match[1], match[2], int(match[3] or 0), span.start, span.end))
    return boxes


def _ranks(boxes: Iterable[Box]) -> int:
    return 1 + max(box.rank for box in boxes)


def _draw_grid(axes: "Axes", boxes: Sequence[Box], scale: float, longest: float) -> None:
    from matplotlib.collections import PolyCollection

    ranks, makespan = _ranks(boxes), max(box.end for box in boxes)
    idle: dict[str, Any] = {"facecolor": "white", "edgecolor": "#b5b5b5", "hatch": "////", "linewidth": 0}
    axes.barh(range(ranks), [makespan / scale] * ranks, height=0.84, zorder=0, **idle)
    most_letters = max(len(box.number) for box in boxes)
    looks: dict[tuple[str, bool], list[list[tuple[float, float]]]] = {}
    for box in boxes:
        left, right, top, bottom = box.start / scale, box.end / scale, box.rank - 0.42, box.rank + 0.42
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        looks.setdefault((box.kind, box.chunk > 0), []).append(corners)
        letters = (box.end - box.start) / (LETTER * longest) - 0.25  # of the larger size, for which there is room
        size = LARGE if letters > most_letters else SMALL if letters * LARGE / SMALL > len(box.number) else 0
        if size:
            where: dict[str, Any] = {"ha": "center", "va": "center", "clip_on": True}
            axes.text((left + right) / 2, box.rank, box.number, fontsize=size, color=INK, **where)
    crowded = len(boxes) > 4000
    for (kind, is_later), corners_of_all in looks.items():
        face = _paler(ACTION_COLOURS[kind]) if is_later else ACTION_COLOURS[kind]
        line = 0.0 if crowded else 0.7
        axes.add_collection(PolyCollection(corners_of_all, facecolors=face, edgecolors=INK, linewidths=line, zorder=2))
    axes.set_ylim(ranks - 0.45, -0.55)
    every = 1 + (ranks - 1) // 32
    axes.set_yticks(range(0, ranks, every), [f"rank {rank}" for rank in range(0, ranks, every)])
    plain_axes(axes, ("top", "right", "left", "bottom"))


def _paler(colour: str) -> str:
    """The colour mixed with white."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - LATER_CHUNK * (255 - part)):02x}" for part in parts)


def _draw_kept(axes: "Axes", boxes: Sequence[Box], scale: float) -> None:
    """Draw the number of micro-batches in flight of each rank as steps."""
    from matplotlib.ticker import MaxNLocator

    makespan, drawn = max(box.end for box in boxes), _drawn_ranks(_ranks(boxes))
    for i, rank in enumerate(drawn):
        times, levels = _kept([box for box in boxes if box.rank == rank], makespan)
        # Lines that lie on each other can all be seen: the first is the widest.
        look: dict[str, Any] = {"color": LINES[i], "linewidth": 1.2 + 1.8 * (1 - (i + 1) / len(drawn))}
        seconds = [time / scale for time in [*times, makespan]]
        axes.step(seconds, [*levels, levels[-1]], where="post", label=f"rank {rank}", **look)
    axes.set_ylabel("kept", fontsize=8, color=INK)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.grid(color=GRID)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.08), frameon=False, fontsize=7, ncols=1 + len(drawn) // 5)
    plain_axes(axes)


def _drawn_ranks(ranks: int) -> list[int]:
    """The ranks whose memory is drawn."""
    every = 1 if ranks <= MOST_LINES else ceil(ranks / (MOST_LINES - 1))
    return sorted({*range(0, ranks, every), ranks - 1})


def _kept(boxes: Sequence[Box], makespan: float) -> tuple[list[float], list[int]]:
    """How many micro-batches are in flight on one rank: times, and the number from each of them on."""
    changes = [(box.start, 1) for box in boxes if box.kind == "F"]
    changes += [(box.end, -1) for box in boxes if "W" in box.kind]
    times, levels = [0.0], [0]
    for time, change in sorted(changes):
        if time - times[-1] > SAME * makespan:  # one freed and one begun at the same moment are no dip
            times.append(time)
            levels.append(levels[-1])
        levels[-1] += change
    return times, levels


def _legend(axes: "Axes", boxes: Sequence[Box]) -> None:
    from matplotlib.patches import Patch

    kinds = {box.kind for box in boxes}
    handles = [Patch(facecolor=ACTION_COLOURS[kind], edgecolor=INK, label=KIND_WORDS[kind])
               for kind in ACTION_COLOURS if kind in kinds]  # fmt: skip
    if any(box.chunk for box in boxes):
        handles.append(Patch(facecolor="#eeeeee", edgecolor=INK, label="paler: later chunk"))
    handles.append(Patch(facecolor="white", edgecolor="#b5b5b5", hatch="////", label="idle"))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
