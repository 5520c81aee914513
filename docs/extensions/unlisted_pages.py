"""A page that somebody adds appears in the menu by itself: the line UNLISTED of index.md stands for all pages that
index.md does not name. To give a page a better place, name it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

UNLISTED = "UNLISTED"
FOLDERS_WITH_THEIR_OWN_MENU = ("api/", "decisions/", "notebooks/")


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the line in index.md by the names of pages."""
    if docname == "index":
        lines = source[0].splitlines()
        named = {*lines, "index"}
        rest = sorted(
            page
            for page in app.env.found_docs
            if page not in named and not page.startswith(FOLDERS_WITH_THEIR_OWN_MENU)
        )
        source[0] = "\n".join("\n".join(rest) if line == UNLISTED else line for line in lines) + "\n"


def read_again(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """The menu changes when pages come or go."""
    return ["index"] if added or removed else []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both hooks."""
    app.connect("source-read", fill_in)
    app.connect("env-get-outdated", read_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
