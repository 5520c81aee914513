"""Pictures of runs, drawn from Spans only."""

import re
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.trace import Span, messages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"wait": "#e9e9e9", "send": "#f2a65a", "recv": "#7db97a", "collective": "#b497c6"}
COMPUTE_COLOURS = ("#8fb5dc", "#f1b6b4", "#c9bfe3", "#f3dd8f", "#a5d4cf", "#d8b79b")
LETTER = 0.006  # width of a letter in a box, as a part of the picture's
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns"))  # used from this many seconds on
ROW = 0.8  # height of a box; a row is 1 high
GAP = 0.6  # between two ranks


def message_timeline(
    spans: Iterable[Span], path: str | Path | None = None, title: str | None = None
) -> "Figure":
    """Draw who did what when: a lane for each rank, an arrow for each message.

    A lane has a row for each stream's own work and waiting, and below it one for what the rank sends and one for
    what it receives. A computation bears its name; its colour is that of the letters the name begins with.

    Args:
        spans: The spans of a run.
        path: Where to save the picture, if anywhere; the ending says in which format.
        title: What to write above.

    Returns:
        The figure, which no window shows.

    Raises:
        ValueError: If there are no spans.
    """
    from matplotlib.figure import Figure

    spans = sorted(spans, key=lambda span: span.kind != "wait")  # waiting lies behind everything else
    if not spans:
        raise ValueError("spans is empty: a timeline needs at least one span (was the run traced?)")
    rows = _rows(spans)
    scale, unit = _unit(max(span.end for span in spans))
    figure = Figure(figsize=(11, 1.2 + 0.28 * (max(rows.values()) + 1)), layout="constrained")
    axes = figure.add_subplot()
    _draw_boxes(axes, spans, rows, scale)
    _draw_arrows(axes, spans, rows, scale)
    _label_lanes(axes, rows)
    axes.set_xlim(0, max(span.end for span in spans) / scale)
    axes.set_xlabel(f"time ({unit})")
    axes.set_title(title or "")
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _track(span: Span) -> tuple[int, int, str]:
    """The row a span is drawn in; the order of tracks is that of the rows."""
    track = {"send": "1 send", "recv": "2 receive"}.get(span.kind, "0")
    return (span.rank, span.stream, track) if track == "0" else (span.rank, 1000, track)


def _rows(spans: list[Span]) -> dict[tuple[int, int, str], float]:
    """Height of each track's middle, the first rank on top (at 0, growing downwards)."""
    rows: dict[tuple[int, int, str], float] = {}
    height, before = 0.0, None
    for track in sorted({_track(span) for span in spans}):
        if before is not None:
            height += 1.0 if track[0] == before else 1.0 + GAP
        rows[track], before = height, track[0]
    return rows


def _unit(longest: float) -> tuple[float, str]:
    scale, unit = next((scale, unit) for scale, unit in UNITS if longest >= scale)
    return scale or 1e-9, unit


def _category(span: Span) -> str:
    """What a colour stands for: a kind, or the letters that begin the name of a computation."""
    if span.kind != "compute":
        return span.kind
    letters = re.match(r"[^\W\d_]+", span.name)
    return letters.group() if letters else "compute"


def _draw_boxes(axes: "Axes", spans: list[Span], rows: dict[tuple[int, int, str], float], scale: float) -> None:
    fresh = cycle(COMPUTE_COLOURS)
    colours: dict[str, str] = {}
    by_category: dict[str, list[Span]] = {}
    for span in spans:
        by_category.setdefault(_category(span), []).append(span)
    for category, members in sorted(by_category.items(), key=lambda item: min(span.start for span in item[1])):
        colours[category] = COLOURS.get(category) or next(fresh)
        axes.barh(
            [rows[_track(span)] for span in members],
            [span.duration / scale for span in members],
            left=[span.start / scale for span in members],
            height=ROW, color=colours[category], edgecolor="white", linewidth=0.5, label=category,
            zorder=1 if category == "wait" else 2,
        )  # fmt: skip
    longest = max(span.end for span in spans)
    for span in spans:
        if span.kind == "compute" and span.duration > LETTER * len(span.name) * longest:
            middle = (span.start + span.end) / 2 / scale
            axes.text(middle, rows[_track(span)], span.name, ha="center", va="center", fontsize=7, clip_on=True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)


def _draw_arrows(axes: "Axes", spans: list[Span], rows: dict[tuple[int, int, str], float], scale: float) -> None:
    pairs = messages(sorted(spans, key=lambda span: span.start))
    if not pairs:
        return
    x = [send.start / scale for send, _ in pairs]
    y = [rows[_track(send)] for send, _ in pairs]
    dx = [receive.end / scale - x0 for (_, receive), x0 in zip(pairs, x, strict=True)]
    dy = [rows[_track(receive)] - y0 for (_, receive), y0 in zip(pairs, y, strict=True)]
    look: dict[str, Any] = {"color": "#333333", "width": 0.001, "headwidth": 6, "headlength": 7, "alpha": 0.75}
    axes.quiver(x, y, dx, dy, angles="xy", scale_units="xy", scale=1, zorder=3, **look)


def _label_lanes(axes: "Axes", rows: dict[tuple[int, int, str], float]) -> None:
    names = []
    seen: set[int] = set()
    for rank, stream, track in rows:
        what = track[2:] or (f"stream {stream}" if stream else "")
        names.append(what if rank in seen else f"rank {rank}  {what}".rstrip())
        seen.add(rank)
    axes.set_yticks(list(rows.values()), names, fontsize=8)
    axes.set_ylim(max(rows.values()) + 0.6, -0.6)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
