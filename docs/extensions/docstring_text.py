"""Docstrings here are plain text with backticks, written to be read in the source. Sphinx takes them for reST.

In reST a star or a bar opens markup, and a word that ends in an underscore is a link. This extension escapes them
outside of backticks and examples, turns an indented drawing into a literal block, and takes a paragraph whose later
lines are indented for what it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CODE = re.compile(r"(`+[^`]*`+)")
MARKUP = re.compile(r"([*|\\])|(?<=\w)(_)(?=\W|$)")
SECTION = re.compile(r"\s*[A-Z]\w*:$")


def escape(line: str) -> str:
    r"""The line with a backslash before what reST would take for markup, outside of backticks.

    >>> escape("a * b and `a * b` of clip_grad_norm_")
    'a \\* b and `a * b` of clip_grad_norm\\_'
    """
    parts = CODE.split(line)
    parts[::2] = [MARKUP.sub(lambda found: "\\" + found.group(), part) for part in parts[::2]]
    return "".join(parts)


def plain_text(lines: list[str]) -> list[str]:
    r"""A docstring's lines as reST that shows them as they were written.

    >>> plain_text(["A drawing:", "", "    a --> b", "", "x ** 2"])
    ['A drawing:', '', '::', '', '    a --> b', '', 'x \\*\\* 2']
    >>> plain_text(["Cost: much,", "    and more", "Args:", "    x: a number"])
    ['Cost: much,', 'and more', 'Args:', '    x: a number']
    """
    shown: list[str] = []
    literal = example = False
    for number, line in enumerate(lines):
        indented = line.startswith("  ")
        after_blank = number > 0 and not lines[number - 1].strip()
        if line.strip() and not indented:
            literal = False
        elif indented and after_blank and not literal and _is_prose(shown):
            shown += ["::", ""]
            literal = True
        elif indented and not literal and not example and not after_blank and _may_continue(shown[-1:]):
            line = line.lstrip()
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        shown.append(line if literal or example else escape(line))
    return shown


def _is_prose(shown: list[str]) -> bool:
    """Whether the last line with text stands at the margin and opens no section such as `Args:`."""
    last = next((line for line in reversed(shown) if line.strip()), "")
    return bool(last) and not last.startswith(" ") and not SECTION.match(last)


def _may_continue(before: list[str]) -> bool:
    """Whether an indented line belongs to the paragraph of the line before it."""
    return bool(before) and not re.match(r"\s|$|[-*] |\d+\. |>>> ", before[0]) and not SECTION.match(before[0])


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's hook: change the lines in place, before napoleon reads the sections."""
    lines[:] = plain_text(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
