"""The benchmarks' own READMEs on one page: the line BENCHMARKS of benchmarks.md stands for all that there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

LINE, PAGE = "BENCHMARKS", "benchmarks"
FOLDER = Path(__file__).parent.parent.parent / "tests" / "benchmarks"


def readmes() -> list[Path]:
    """Those of all benchmarks that have one, by name."""
    return sorted(FOLDER.glob("*/README.md"))


def one_level_down(text: str) -> str:
    """Headings of a page become headings of a part; comments in programs are none."""
    lines, in_program = [], False
    for line in text.splitlines():
        in_program ^= line.startswith("```")
        lines.append("#" + line if line.startswith("#") and not in_program else line)
    return "\n".join(lines)


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the line by the texts, and let the page be read again when one of them changes."""
    if docname != PAGE:
        return
    for readme in readmes():
        app.env.note_dependency(str(readme))
    texts = "\n\n".join(one_level_down(readme.read_text(encoding="utf-8")) for readme in readmes())
    source[0] = "\n".join(texts if line == LINE else line for line in source[0].splitlines()) + "\n"


def read_again(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """A benchmark may have come since the last build."""
    return [PAGE]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both hooks."""
    app.connect("source-read", fill_in)
    app.connect("env-get-outdated", read_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
