"""CUDA C as text: where a kernel's body stands, found by its braces."""

from __future__ import annotations

import re

from minigrad.course.source import MissingFunctionError

# What braces mean nothing in: comments, strings, characters.
OPAQUE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)


def hollow(source: str, name: str, message: str) -> str:
    r"""Replace what stands between the braces of function `name` by a comment that says what is asked.

    A kernel has no exceptions to raise: an empty one compiles, runs, and leaves its output as it was.

    >>> hollow("__global__ void f(int n) { if (n) { g(); } }", "f", "exercise 00: f")
    '__global__ void f(int n) {\n    // exercise 00: f\n}'
    """
    start, end = _body(source, name)
    return f"{source[:start]}\n    // {message}\n{source[end:]}"


def text_of(source: str, name: str) -> str:
    """What stands between the braces of function `name`."""
    return source[slice(*_body(source, name))]


def is_hollow(source: str, name: str) -> bool:
    """Whether nothing but comments stands between the braces of function `name`."""
    return not OPAQUE.sub("", text_of(source, name)).strip()


def line_of(source: str, name: str) -> int:
    """The number of the line in which the body of function `name` begins."""
    return source.count("\n", 0, _body(source, name)[0]) + 1


def graft(reference: str, donor: str, name: str, called: str = "") -> str:
    """Put the donor's body of function `name` in the place of the reference's.

    Args:
        reference, donor: CUDA C.
        name: of a function in both.
        called: the donor's file, if a compiler is to name its lines in messages.
    """
    start, end = _body(reference, name)
    numbered = f'\n#line {line_of(donor, name)} "{called}"\n' if called else ""
    return reference[:start] + numbered + text_of(donor, name) + reference[end:]


def _body(source: str, name: str) -> tuple[int, int]:
    """Start and end of what is between the braces; comments and strings are blanked first, at equal length."""
    clear = OPAQUE.sub(lambda found: " " * len(found.group()), source)
    head = re.search(rf"\b{re.escape(name)}\s*\([^;{{]*\{{", clear)
    if head is None:
        raise MissingFunctionError(f"there is no function {name}")
    depth = 1
    for position in range(head.end(), len(clear)):
        depth += (clear[position] == "{") - (clear[position] == "}")
        if depth == 0:
            return head.end(), position
    raise MissingFunctionError(f"the braces of {name} do not close")
