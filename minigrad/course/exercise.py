"""What an exercise is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent / "exercises"


class Exercise(NamedTuple):
    """One exercise.

    Args:
        number: its place in the order, from 1.
        name: what to call it in a file name.
        title: what to call it in a sentence.
        asks: what the student is to do, in one sentence.
        paths: dotted paths of the functions or methods to write; of a CUDA kernel "file.cu:name".
        hints: three, each giving away more than the one before.
        needs: numbers of the exercises it stands on.
        budget: what a solution may cost, in words; the check measures it.
        mpi_ranks: numbers of real MPI processes it is checked on too.
        seconds: how long a whole check may take.
        points: what it is worth.
    """

    number: int
    name: str
    title: str
    asks: str
    paths: tuple[str, ...]
    hints: tuple[str, str, str]
    needs: tuple[int, ...] = ()
    budget: str = ""
    mpi_ranks: tuple[int, ...] = ()
    seconds: float = 10.0
    points: float = 10.0

    @property
    def key(self) -> str:
        """Such as "ex06": its pytest marker, and its name in a notebook."""
        return f"ex{self.number:02}"

    @property
    def is_cuda(self) -> bool:
        """Whether what is to be written is CUDA C."""
        return any(":" in path for path in self.paths)

    @property
    def folder(self) -> Path:
        """Where its text, check, mutants and picture are."""
        return FOLDER / f"{self.key}_{self.name}"

    @property
    def text(self) -> str:
        """What the student reads, in Markdown."""
        return (self.folder / "text.md").read_text(encoding="utf-8")
