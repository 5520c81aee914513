"""What all pictures share: colours that colour-blind readers can tell apart, and units that people read.

The hues are those of Okabe and Ito ("Color Universal Design", 2008), lightened where black text stands on them.
"""

import re
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from minigrad.trace import Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID = "#222222", "#767676", "#e4e4e4"
COLOURS = {"wait": "#e6e6e6", "send": "#eda63a", "recv": "#4db597", "collective": "#d39bc0"}
ACTION_COLOURS = {"F": "#8ec9ef", "B": "#e6a07c", "W": "#b9dcb0", "BW": "#f3e27d"}  # of a pipeline
COMPUTE_COLOURS = ("#8ec9ef", "#f3e27d", "#e6a07c", "#8aa5dc", "#b9dcb0", "#cdb8a3")
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ALARM = "#d55e00"

TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def time_unit(longest: float) -> tuple[float, str]:
    """Seconds in the unit in which `longest` is best read, and its name.

    >>> time_unit(0.02)
    (0.001, 'ms')
    """
    return next(((scale, unit) for scale, unit in TIMES if longest >= scale), TIMES[-1])


def size_text(nbytes: float) -> str:
    """A number of bytes in three digits.

    >>> size_text(12_500_000), size_text(880_000), size_text(16), size_text(0)
    ('12.5 MB', '880 kB', '16 B', '0 B')
    """
    scale, unit = next(((scale, unit) for scale, unit in SIZES if nbytes >= scale), SIZES[-1])
    return f"{nbytes / scale:.3g} {unit}"


def time_text(seconds: float) -> str:
    """A time in three digits.

    >>> time_text(0.0123), time_text(0.0)
    ('12.3 ms', '0 s')
    """
    scale, unit = time_unit(seconds) if seconds else TIMES[0]
    return f"{seconds / scale:.3g} {unit}"


def category(span: Span) -> str:
    """What a colour stands for: a kind, or the letters that begin the name of a computation."""
    if span.kind != "compute":
        return span.kind
    letters = re.match(r"[^\W\d_]+", span.name)
    return letters.group() if letters else "compute"


def category_colours(spans: Iterable[Span]) -> dict[str, str]:
    """A colour for each category, in the order in which they appear in time."""
    names = list(dict.fromkeys(category(span) for span in sorted(spans, key=lambda span: span.start)))
    fixed = {name: colour for name, colour in (COLOURS | ACTION_COLOURS).items() if name in names}
    free = [colour for colour in COMPUTE_COLOURS if colour not in fixed.values()]
    fresh = cycle(free or COMPUTE_COLOURS)
    return {name: fixed.get(name) or next(fresh) for name in names}


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure that no window shows, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plain_axes(axes: "Axes", sides: tuple[str, ...] = ("top", "right")) -> None:
    """Leave out the frame where nothing is read from it."""
    for side in sides:
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, colors=INK, labelsize=8)


def save(figure: "Figure", path: str | Path | None) -> "Figure":
    """Save a figure if a path is given; its ending says in which format."""
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
