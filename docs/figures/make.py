"""Draw every figure of the documentation again: `python docs/figures/make.py`, for slides with `--out FOLDER`.

The SVG files are kept in the repository, so that the pages can be read without building anything; a test draws
them again and compares.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = (
    "course", "graph", "layout", "memory", "overlap", "pipeline", "ring", "ring_attention", "roofline", "server",
    "simulation", "staleness", "tensor_parallel", "worlds", "zero",
)  # fmt: skip


def figures() -> Iterator[tuple[Path, str]]:
    """Each figure's file, and what should stand in it."""
    for name in NAMES:
        yield FOLDER / f"{name}.svg", import_module(name).draw().svg()


def main() -> None:
    """Write them, and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="where to (docs/figures)")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in figures():
        (folder / path.name).write_text(text, encoding="utf-8")
        print(folder / path.name)


if __name__ == "__main__":
    main()
