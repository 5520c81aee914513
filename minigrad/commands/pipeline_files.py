"""What `minigrad pipeline show --out` writes: pictures, a film, pages, traces and the text of the schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigrad.trace import Span
    from parallel.pipeline import Schedule

REAL = "real"  # the key of the run on real processes, and what its files' names end in


def write(schedule: Schedule, runs: Mapping[str, list[Span]], folder: Path, title: str) -> Iterator[Path]:
    """Write all files, and yield each.

    Args:
        schedule: the schedule.
        runs: spans of the priced run, and under the name `REAL` those of the real one, if there is one.
        folder: where to.
        title: of the pictures.
    """
    from minigrad.trace import save_chrome_trace
    from parallel.pipeline import to_text
    from parallel.plots import html_timeline, pipeline_timeline

    name = schedule.name or "schedule"
    takes_time = all(any(span.duration > 0 for span in spans) for spans in runs.values())
    if takes_time:
        headings = dict(zip(runs if len(runs) > 1 else (title,), runs.values(), strict=True))
        above = title if len(runs) > 1 else None
        for ending in ("png", "svg"):
            pipeline_timeline(headings, folder / f"{name}.{ending}", above)
            yield folder / f"{name}.{ending}"
        yield from write_film(headings, folder, name, above)
    for run, spans in runs.items():
        own = f"{name}-{REAL}" if run == REAL else name
        if takes_time:
            html_timeline(spans, folder / f"{own}.html", f"{title}, {run}")
            yield folder / f"{own}.html"
        save_chrome_trace(spans, folder / f"{own}.json")
        yield folder / f"{own}.json"
    (folder / f"{name}.txt").write_text(to_text(schedule), encoding="utf-8")
    yield folder / f"{name}.txt"


def write_film(runs: Mapping[str, list[Span]], folder: Path, name: str, title: str | None) -> Iterator[Path]:
    """Write the film, as a GIF and as a page, unless there is too much to follow."""
    from parallel.plots import pipeline_animation
    from parallel.plots.pipeline_film import MOST_ACTIONS

    if sum(span.kind == "compute" for spans in runs.values() for span in spans) > MOST_ACTIONS:
        print(f"no film: with more than {MOST_ACTIONS} actions there would be nothing to follow")
        return
    for ending in (".gif", "-film.html"):
        pipeline_animation(runs, folder / f"{name}{ending}", title)
        yield folder / f"{name}{ending}"
