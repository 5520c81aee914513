"""A page of the API for each room of the packages, written anew by every build from the modules that are there.

So a new module appears by itself. A new room is a row in ROOMS; until it has one, its modules stand on the page of
what it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "api/generated"
FRONT_DOORS = ("minigrad.cli", "minigrad.commands", "minigrad.course")  # they are used from a terminal


class Room(NamedTuple):
    """A page: its file, its title, a sentence, and the modules that stand on it with all that lies below them."""

    name: str
    title: str
    words: str
    modules: tuple[str, ...]


ROOMS = (
    Room("tensor", "Tensors and the graph", "The engine: one process, one device.", ("minigrad",)),
    Room("ops", "Operations and kernels", "An operation is a derivative that knows no device; a kernel is fast code "
         "that knows no derivative.", ("minigrad.ops", "minigrad.kernels")),
    Room("nn", "Layers and models", "PyTorch's names and meanings wherever PyTorch has one.", ("minigrad.nn",)),
    Room("training", "Optimizers, data, training", "A rule moves one array; an optimizer applies a rule to a model; "
         "the training loop knows nothing of ranks.", ("minigrad.optim", "minigrad.data", "minigrad.train")),
    Room("comm", "Communicators", "The simulated world, the observer of any world, and the launcher of the real one. "
         "What the simulated world promises is written down in [its contract](../../simulated-world.md).",
         ("parallel.comm", "parallel.cluster")),
    Room("parallel", "Collectives and strategies", "Algorithms on messages, for any communicator with mpi4py's names.",
         ("parallel",)),
    Room("pipeline", "Pipeline schedules", "[Pipeline parallelism](../../pipeline.md) tells the story.",
         ("parallel.pipeline",)),
    Room("studies", "Studies, traces, pictures", "A study is a question, a function that answers it, and a picture.",
         ("parallel.studies", "parallel.plots", "minigrad.trace", "minigrad.plots")),
)  # fmt: skip


def modules_of(root: Path) -> Iterator[str]:
    """Every public module of both packages, in the order of their names."""
    for package in ("minigrad", "parallel"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            private = any(part.startswith("_") for part in name.split("."))
            if not private and not any(lies_in(name, door) for door in FRONT_DOORS):
                yield name


def lies_in(module: str, parent: str) -> bool:
    """Whether a module is another or lies below it."""
    return module == parent or module.startswith(parent + ".")


def room_of(module: str) -> Room:
    """The room that names the nearest parent of a module."""
    owners = [(len(parent), room) for room in ROOMS for parent in room.modules if lies_in(module, parent)]
    return max(owners, key=lambda owner: owner[0])[1]


def page(room: Room, modules: list[str]) -> str:
    """The text of a room's page; a name stands where it is defined, not where a package hands it on."""
    parts = [f"# {room.title}\n\n{room.words}\n"]
    for module in modules:
        options = "   :members:\n   :ignore-module-all:\n"
        parts.append(f"## `{module}`\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}```\n")
    return "\n".join(parts)


def write_pages(app: Sphinx) -> None:
    """Write the pages that differ from what is there, and remove those of rooms that are gone."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    modules = list(modules_of(Path(app.srcdir).parent))
    texts = {f"{room.name}.md": page(room, [m for m in modules if room_of(m) is room]) for room in ROOMS}
    for old in folder.glob("*.md"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        target = folder / name
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the writer, before Sphinx looks which pages there are."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
