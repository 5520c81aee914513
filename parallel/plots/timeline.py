"""Who did what when: a lane for each rank, an arrow for each message."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.trace import Span, messages
from parallel.plots.look import INK, category, category_colours, new_figure, plain_axes, save, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Track = tuple[int, int, str]  # rank, stream, what

LETTER = 0.006  # width of a letter in a box, as a part of the picture's
ROW = 0.8  # height of a box; a row is 1 high
GAP = 0.6  # between two ranks
INCHES = 0.28  # height of a row where there is room
TALLEST = 22.0  # inches; beyond that the rows get thinner
SEAM, THINNEST = 0.0008, 0.0006  # between two boxes, and of a box, as a part of the picture's width
MOST_ARROWS = 3000  # of more, no arrow can be told from another
LABELLED = 64  # rows; of more, only the ranks are named


def message_timeline(
    spans: Iterable[Span],
    path: str | Path | None = None,
    title: str | None = None,
    ranks: Collection[int] | None = None,
) -> "Figure":
    """Draw who did what when: a lane for each rank, an arrow for each message.

    A lane has a row for each stream's own work and waiting, and below it one for what the rank sends and one for
    what it receives. A computation bears its name; its colour is that of the letters the name begins with. Of more
    than 3,000 messages no arrows are drawn: take `html_timeline`, which can be zoomed.

    Args:
        spans: The spans of a run.
        path: Where to save the picture, if anywhere; the ending says in which format.
        title: What to write above.
        ranks: Draw these ranks only; all if None.

    Returns:
        The figure, which no window shows.

    Raises:
        ValueError: If there are no spans.
    """
    spans = [span for span in spans if span.kind != "memory" and (ranks is None or span.rank in ranks)]
    spans.sort(key=lambda span: span.kind != "wait")  # waiting lies behind everything else
    if not spans:
        raise ValueError("spans is empty: a timeline needs at least one span (was the run traced?)")
    rows = _rows(spans)
    scale, unit = time_unit(max(span.end for span in spans))
    height = INCHES * (max(rows.values()) + 1)
    figure = new_figure(11, 1.2 + min(height, TALLEST))
    axes = figure.add_subplot()
    _draw_boxes(axes, spans, rows, scale)
    _draw_arrows(axes, spans, rows, scale)
    _label_lanes(axes, rows)
    axes.set_xlim(0, max(span.end for span in spans) / scale)
    axes.set_xlabel(f"time ({unit})")
    axes.set_title(title or "", color=INK)
    return save(figure, path)


def _track(span: Span) -> Track:
    """The row a span is drawn in; the order of tracks is that of the rows."""
    track = {"send": "1 send", "recv": "2 receive"}.get(span.kind, "0")
    return (span.rank, span.stream, track) if track == "0" else (span.rank, 1000, track)


def _rows(spans: list[Span]) -> dict[Track, float]:
    """Height of each track's middle, the first rank on top (at 0, growing downwards)."""
    rows: dict[Track, float] = {}
    height, before = 0.0, None
    for track in sorted({_track(span) for span in spans}):
        if before is not None:
            height += 1.0 if track[0] == before else 1.0 + GAP
        rows[track], before = height, track[0]
    return rows


def _draw_boxes(axes: "Axes", spans: list[Span], rows: dict[Track, float], scale: float) -> None:
    from matplotlib.collections import PolyCollection

    colours = category_colours(spans)
    boxes: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in colours}
    longest = max(span.end for span in spans)
    for span in spans:
        seam = SEAM * longest if span.duration > 4 * SEAM * longest else 0.0
        left, y = span.start / scale, rows[_track(span)]
        right = left + max(span.duration - seam, THINNEST * longest) / scale
        top, bottom = y - ROW / 2, y + ROW / 2
        boxes[category(span)].append([(left, top), (right, top), (right, bottom), (left, bottom)])
    for name, colour in colours.items():
        look: dict[str, Any] = {"facecolors": colour, "linewidths": 0, "zorder": 1 if name == "wait" else 2}
        axes.add_collection(PolyCollection(boxes[name], label=name, **look))
    for span in spans:
        if span.kind in ("compute", "collective") and span.duration > LETTER * len(span.name) * longest:
            middle = (span.start + span.end) / 2 / scale
            axes.text(middle, rows[_track(span)], span.name, ha="center", va="center", fontsize=7, clip_on=True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)


def _draw_arrows(axes: "Axes", spans: list[Span], rows: dict[Track, float], scale: float) -> None:
    pairs = messages(sorted(spans, key=lambda span: span.start))
    if not 0 < len(pairs) <= MOST_ARROWS:
        return
    x = [send.start / scale for send, _ in pairs]
    y = [rows[_track(send)] for send, _ in pairs]
    dx = [receive.end / scale - x0 for (_, receive), x0 in zip(pairs, x, strict=True)]
    dy = [rows[_track(receive)] - y0 for (_, receive), y0 in zip(pairs, y, strict=True)]
    few = len(pairs) <= 500
    look: dict[str, Any] = {"color": INK, "headwidth": 6, "headlength": 7, "width": 0.001 if few else 0.0004}
    axes.quiver(x, y, dx, dy, angles="xy", scale_units="xy", scale=1, zorder=3, alpha=0.75 if few else 0.25, **look)


def _label_lanes(axes: "Axes", rows: dict[Track, float]) -> None:
    names = []
    seen: set[int] = set()
    crowded = len(rows) > LABELLED
    for rank, stream, track in rows:
        what = "" if crowded else track[2:] or (f"stream {stream}" if stream else "")
        names.append(what if rank in seen else f"rank {rank}  {what}".rstrip())
        seen.add(rank)
    axes.set_yticks(list(rows.values()), names)
    axes.set_ylim(max(rows.values()) + 0.6, -0.6)
    plain_axes(axes, ("top", "right", "left"))
