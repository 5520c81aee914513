"""Let a page's link to a notebook lead to the site's page of it.

A page links to the notebook in notebooks/, so that the link is right in the repository, where many read the pages. The
site is made from copies in docs/notebooks/ (conf.py says why): from any page, one step less up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"\]\(\.\./((?:\.\./)*notebooks/\d\d-[\w-]+\.ipynb)")


def to_the_copies(text: str) -> str:
    """A page's text, with each link to a notebook one step less up.

    >>> to_the_copies("[1](../notebooks/01-autograd.ipynb), [all](../notebooks/index.md)")
    '[1](notebooks/01-autograd.ipynb), [all](../notebooks/index.md)'
    >>> to_the_copies("[2](../../notebooks/02-ring-all-reduce.ipynb#the-ring)")
    '[2](../notebooks/02-ring-all-reduce.ipynb#the-ring)'
    """
    return LINK.sub(r"](\1", text)


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """Sphinx calls this with the text of each page."""
    source[0] = to_the_copies(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it with Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
