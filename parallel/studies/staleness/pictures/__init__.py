"""The pictures of the staleness study: each one measured, drawn as PNG and SVG, and its numbers written as CSV.

A picture is a module of this folder with four functions:

    work(settings) -> int                  how many parts the measurement has, for a progress bar
    measure(settings, advance) -> result   does it, and calls advance() after each part
    draw(result) -> Figure                 a matplotlib figure that belongs to no window
    columns(result) -> dict                the numbers behind it by name, all of one length

and a row in PICTURES. That puts it into `minigrad staleness`, into the page of all pictures, and under the tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad.serialize import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@dataclass(frozen=True)
class Settings:
    """What a user may set.

    Attributes:
        max_tau: largest staleness in the maps.
        seeds: runs of each network, with initial values and data of their own; races under stragglers go by it, too.
        seed: of all that is left to chance elsewhere.
    """

    max_tau: int = 32
    seeds: int = 3
    seed: int = 0


class Picture(NamedTuple):
    """A row of the table: which module, and what it shows."""

    module: str
    title: str
    caption: str

    def load(self) -> Any:
        """The module that measures and draws it."""
        return import_module(f"{__name__}.{self.module}")


PICTURES: dict[str, Picture] = {
    "map": Picture(
        "map",
        "How stale may a gradient be?",
        "Each cell is a run of the quadratic with its own delay and step. Blue shrank, orange grew. The line is "
        "2 sin(π/(4τ+2)); the rings were measured by running and know no formula.",
    ),
    "boundary": Picture(
        "boundary",
        "What momentum costs",
        "Momentum takes most of what staleness leaves. Negative momentum gives some back, until another root, the one "
        "at z = −1, becomes the first to leave: the kink.",
    ),
    "random": Picture(
        "random",
        "Delays by chance",
        "At the same mean, scattered delays are kinder than constant ones. But the mean weight alone is no guide: "
        "with geometric delays it dies out at steps at which every single run has long since grown.",
    ),
    "momentum": Picture(
        "momentum",
        "Asynchrony begets momentum",
        "M workers without memory give the mean weight a momentum of 1 − 1/M that nobody asked for.",
    ),
    "remedies": Picture(
        "remedies",
        "What helps, and what only seems to",
        "A rate that one worker bears, divided by τ or τ + 1, still diverges. Divided by 2τ + 1 it converges.",
    ),
    "network": Picture(
        "network",
        "From the quadratic to networks",
        "Largest stable learning rates of real models, found by trial, against the formula with the largest eigenvalue "
        "of their Hessian.",
    ),
    "stragglers": Picture(
        "stragglers",
        "What waiting costs",
        "Step times differ. Whoever waits for all waits for the slowest; backup workers, windows and bounds wait for "
        "fewer; an asynchronous server waits for nobody, and its gradients are stale.",
    ),
    "ssp": Picture(
        "ssp",
        "Faster steps against worse steps",
        "A bound on how far a worker may be ahead makes steps slower and gradients fresher. At small rates no bound is "
        "best; near what staleness bears, a bound is; the stars mark it.",
    ),
}


def chosen(names: list[str]) -> list[str]:
    """The pictures that were asked for, each once, in the order of the table; all if none was.

    Raises:
        ValueError: there is no such picture.
    """
    for name in names:
        if name not in PICTURES and name != "all":
            raise ValueError(f"picture={name!r} must be one of {', '.join(PICTURES)}, or all")
    return [name for name in PICTURES if name in names or not names or "all" in names]


def write(name: str, result: Any, folder: Path) -> list[Path]:
    """Draw one picture and write staleness-NAME.png, .svg and .csv.

    Args:
        name: one of PICTURES.
        result: from its `measure`.
        folder: where to.

    Returns:
        The files written.

    Raises:
        ValueError: a number is not finite; nothing is written then.
    """
    from matplotlib import rc_context

    module = PICTURES[name].load()
    png, svg, csv = (folder / f"staleness-{name}.{ending}" for ending in ("png", "svg", "csv"))
    table = csv_text(csv.name, module.columns(result))
    with rc_context({"svg.hashsalt": "staleness"}):  # the same numbers give the same file
        figure = module.draw(result)
        save(figure, png, dpi=160)
        figure.set_layout_engine("none")  # everything has its place now; finding it takes most of the time
        save(figure, svg, metadata={"Date": None})
    write_atomically(csv, table.encode())
    return [png, svg, csv]


def save(figure: "Figure", path: Path, **options: Any) -> None:
    """Write a figure to a file, which is whole or not there whenever somebody presses Ctrl-C."""
    content = BytesIO()
    figure.savefig(content, format=path.suffix[1:], **options)
    write_atomically(path, content.getvalue())


def csv_text(name: str, columns: Mapping[str, Any]) -> str:
    """Columns of equal length as lines, with ten digits and a header.

    Raises:
        ValueError: a number is not finite; `name` is the file's in the message.
    """
    arrays = {key: np.asarray(column) for key, column in columns.items()}
    for key, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"column {key} of {name} holds a number that is not finite")
    rows = [
        ",".join(f"{value:.10g}" if isinstance(value, float) else str(value) for value in row)
        for row in zip(*arrays.values(), strict=True)
    ]
    return "\n".join([",".join(arrays), *rows, ""])


Advance = Callable[[], None]
