"""Draw every figure of the documentation again: `python docs/figures/make.py`.

The SVG files are kept in the repository, so that the pages can be read without building anything; a test draws
them again and compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent


def figures() -> Iterator[tuple[Path, str]]:
    """Each figure's file, and what should stand in it."""
    import graph
    import overlap
    import ring
    import ring_attention
    import server
    import simulation
    import staleness
    import tensor_parallel
    import worlds
    import zero

    for module in (graph, overlap, ring, ring_attention, server, simulation, staleness, tensor_parallel, worlds, zero):
        yield FOLDER / f"{module.__name__}.svg", module.draw().svg()


if __name__ == "__main__":
    for path, text in figures():
        path.write_text(text, encoding="utf-8")
        print(path)
