"""A pipeline's run as a film: the timeline of `pipeline_timeline`, of which only the past is there yet.

The ending of the file says which film: `.gif` plays anywhere; `.html` is a page of its own, with buttons to play and to
go from action to action, that says what each rank does and keeps.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigrad.trace import Span
from parallel.plots.pipeline import Box, actions_of, pipeline_timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRAMES = 90
REST = 25  # frames at the end
VEIL = 0.9  # how much of the future is hidden
NOW = (213, 94, 0)  # colour of the line between past and future
COLOURS = 128
DPI = 80
MOST_ACTIONS = 4000  # of all runs together; nobody could follow more
PAGE = Path(__file__).parent / "pages" / "pipeline_film.html"


def pipeline_animation(
    runs: Mapping[str, Iterable[Span]], path: str | Path, title: str | None = None, frames_per_second: int = 12
) -> None:
    """Make a film of runs of pipelines, one below the other: the actions, and what each rank keeps, as time goes on.

    Args:
        runs: the spans of each run, by what to write above it, as in `pipeline_timeline`.
        path: the file to write; it ends in `.gif` or `.html`.
        title: what to write above all.
        frames_per_second: of the GIF.

    Raises:
        ValueError: `path` has another ending, there is no run, one has no actions, or there are more than 4,000.
    """
    path = Path(path)
    if path.suffix not in (".gif", ".html"):
        raise ValueError(f"path={str(path)!r} must end in .gif or .html")
    spans = {name: list(own) for name, own in runs.items()}
    boxes = {name: actions_of(own) for name, own in spans.items()}
    if (count := sum(map(len, boxes.values()))) > MOST_ACTIONS:
        raise ValueError(f"runs has {count} actions, a film must have at most {MOST_ACTIONS}: draw a picture")
    figure = pipeline_timeline(spans, title=title)
    end = max(box.end for own in boxes.values() for box in own)
    if path.suffix == ".gif":
        _write_gif(figure, path, frames_per_second)
    else:
        path.write_text(_page(figure, boxes, end, title or "pipeline"), encoding="utf-8")


def _panels(figure: "Figure") -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each panel, as parts of a drawn picture's width and height."""
    width, height = figure.bbox.width, figure.bbox.height
    boxes = [axes.get_window_extent() for axes in figure.axes]
    return [(box.x0 / width, 1 - box.y1 / height, box.x1 / width, 1 - box.y0 / height) for box in boxes]


def _write_gif(figure: "Figure", path: Path, frames_per_second: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    picture = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    panels = _panels(figure)
    both = np.concatenate([picture, _frame(picture, panels, 0.0)])  # the future's colours too
    palette = Image.fromarray(both).quantize(COLOURS)
    parts = [(frame + 1) / FRAMES for frame in range(FRAMES)]
    frames = [
        Image.fromarray(_frame(picture, panels, part)).quantize(palette=palette, dither=Image.Dither.NONE)
        for part in parts
    ]
    pace = round(1000 / frames_per_second)  # milliseconds
    durations = [pace] * (FRAMES - 1) + [pace * REST]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _frame(
    picture: NDArray[Any], panels: Sequence[tuple[float, float, float, float]], part: float
) -> NDArray[np.uint8]:
    """The picture when this part of the time is over."""
    height, width, _ = picture.shape
    frame = picture.copy()
    for left, top, right, bottom in panels:
        now, end = round((left + part * (right - left)) * width), round(right * width)
        rows = slice(round(top * height), round(bottom * height))
        frame[rows, now:end] = VEIL * 255 + (1 - VEIL) * frame[rows, now:end]
        if part < 1:
            frame[rows, now : now + 2] = NOW
    return frame


def _page(figure: "Figure", boxes: Mapping[str, Sequence[Box]], end: float, title: str) -> str:
    """The film as a page of its own: the picture, and what covers its future."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    data = {
        "title": title,
        "panels": _panels(figure),
        "end": end,
        "veil": VEIL,
        "runs": [
            {"name": name, "actions": [[box.rank, box.kind, box.label, box.start, box.end] for box in own]}
            for name, own in boxes.items()
        ],
    }
    text = json.dumps(data).replace("</", "<\\/")  # so that no title ends the script
    page = PAGE.read_text(encoding="utf-8").replace("<!--PICTURE-->", svg[svg.index("<svg") :])
    return page.replace("/*DATA*/null", text)
