"""Formulas as MathML, which browsers draw themselves: sharp, in the page's colours, and without any network.

docutils brings a translator from TeX to MathML along. It knows less TeX than MathJax does, and an unknown command
ends the build, so that no formula is ever broken on the page.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# Commands of TeX that the translator lacks, and what it has in their place.
SYNONYMS = {r"\dots": r"\ldots", r"\tfrac": r"\frac", r"\dfrac": r"\frac", r"\blacksquare": r"\text{∎}"}
COMMAND = re.compile(r"\\[A-Za-z]+")
# TeX takes the next *digit* as an argument, the translator the next *number*: for it, 12 in \frac12 is the numerator.
BARE_NUMERATOR = re.compile(r"\\frac\s*(\d)")
BARE_DENOMINATOR = re.compile(r"(\\frac\{\d\})\s*(\d)")
# Browsers leave no space around a function's name. A thin one follows, unless a parenthesis does, and one goes before.
APPLY = re.compile(r"<mo>&ApplyFunction;</mo>(?=\s*<(?!mo\b))")
BEFORE_FUNCTION = re.compile(r"(</m(?:n|i|sub|sup|row|frac)>)(?=\s*<mi>(?:sin|cos|tan|cot|log|exp|max|min)</mi>)")
BAR = re.compile(r"<mo[^>]*>\|</mo>")  # of a magnitude: without the space that an operator has
THIN_SPACE = '<mspace width="0.17em"></mspace>'


def translate(node: nodes.Element, as_block: bool) -> str:
    """The MathML of a formula.

    Raises:
        ExtensionError: TeX that the translator does not know, with the formula.
    """
    tex = COMMAND.sub(lambda found: SYNONYMS.get(found.group(), found.group()), node.astext())
    tex = BARE_DENOMINATOR.sub(r"\1{\2}", BARE_NUMERATOR.sub(r"\\frac{\1}", tex))
    try:
        markup = str(latex2mathml.tex2mathml(tex, as_block=as_block))
        markup = BAR.sub('<mo stretchy="false" lspace="0" rspace="0">|</mo>', markup)
        return BEFORE_FUNCTION.sub(r"\1" + THIN_SPACE, APPLY.sub(THIN_SPACE, markup))
    except MathError as error:
        raise ExtensionError(f"{node.source or 'a page'}: the formula {tex!r} is not understood: {error}") from error


def visit_inline(writer: Any, node: nodes.math) -> None:
    """A formula in a line of text."""
    writer.body.append(translate(node, as_block=False))
    raise nodes.SkipNode


def visit_block(writer: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own."""
    writer.body.append(f'<div class="math">{translate(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
