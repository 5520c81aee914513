"""Python source as text with a syntax tree beside it: find a function, empty it, or put another in its place.

Nothing is printed back from the tree. It only tells where a function stands, and the lines around stay as they
are, with every comment.
"""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef


class MissingFunctionError(ValueError):
    """A file does not hold the function that it should."""


class Place(NamedTuple):
    """Where a function stands.

    Args:
        file: posix path below the root, such as "minigrad/ops/shape.py".
        name: its name in there, such as "unbroadcast" or "Tensor.accumulate_grad".
    """

    file: str
    name: str


def locate(root: Path, dotted: str) -> Place:
    """Split a dotted path into the file and the name in it.

    Args:
        root: the folder that holds the packages.
        dotted: such as "minigrad.tensor.Tensor.accumulate_grad".

    Raises:
        MissingFunctionError: no file below `root` fits.
    """
    parts = dotted.split(".")
    for end in range(len(parts) - 1, 0, -1):
        stem = Path(*parts[:end])
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (root / file).is_file():
                return Place(file.as_posix(), ".".join(parts[end:]))
    raise MissingFunctionError(f"{dotted}: no file of that name in {root}")


def find(tree: ast.Module, name: str) -> Function:
    """The function `name` (dotted for a method) of a module.

    Raises:
        MissingFunctionError: there is none.
    """
    body: list[ast.stmt] = tree.body
    *classes, last = name.split(".")
    for outer in classes:
        inner = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == outer), None)
        body = inner.body if inner is not None else []
    # The last one counts, as it does when Python runs the file.
    for node in reversed(body):
        if isinstance(node, Function) and node.name == last:
            return node
    raise MissingFunctionError(f"there is no function {name}")


def text_of(source: str, name: str) -> str:
    """The lines of a function, from its first decorator to its end."""
    start, end = _whole(find(ast.parse(source), name))
    return "".join(source.splitlines(keepends=True)[start:end])


def hollow(source: str, name: str, message: str) -> str:
    r"""Replace the body of a function by its docstring and `raise NotImplementedError(message)`.

    >>> print(hollow("def f(x):\n    # easy\n    return x  # so\n", "f", "exercise 00: f"), end="")
    def f(x):
        raise NotImplementedError("exercise 00: f")
    """
    lines = source.splitlines(keepends=True)
    node = find(ast.parse(source), name)
    indent = " " * (node.col_offset + 4)
    stub = f'{indent}raise NotImplementedError("{message}")\n'
    documented = ast.get_docstring(node, clean=False) is not None
    rest = node.body[1:] if documented else node.body
    after_head = node.body[0].end_lineno or 0 if documented else _end_of_head(node, lines)
    end = node.end_lineno or 0
    while end < len(lines) and _is_comment(lines[end]) and _indent(lines[end]) > node.col_offset:
        end += 1  # a comment below the last statement still belongs to the body
    if rest and rest[0].lineno <= after_head:  # `def f(): return 1`, all on one line
        first = lines[rest[0].lineno - 1].encode()[: rest[0].col_offset].decode().rstrip().rstrip(";")
        return "".join([*lines[: rest[0].lineno - 1], first + "\n", stub, *lines[end:]])
    return "".join([*lines[:after_head], stub, *lines[end:]])


def is_hollow(source: str, name: str) -> bool:
    """Whether nothing but a `raise NotImplementedError` is in a function yet."""
    body = find(ast.parse(source), name).body
    last = body[-1]
    if len(body) > 1 + isinstance(body[0], ast.Expr) or not isinstance(last, ast.Raise) or last.exc is None:
        return False
    raised = last.exc.func if isinstance(last.exc, ast.Call) else last.exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def line_of(source: str, name: str) -> int:
    """The number of the line in which function `name` begins."""
    return find(ast.parse(source), name).lineno


def graft(reference: str, donor: str, name: str) -> str:
    """Put the donor's function `name` in the place of the reference's.

    What the donor's function uses and only the donor defines (its own helper functions, imports, constants, and
    methods of the same class) comes along. Everything that both define stays the reference's.

    Raises:
        MissingFunctionError: either has no such function.
        SyntaxError: the donor is no Python.
    """
    donor_tree, tree = ast.parse(donor), ast.parse(reference)
    old, new = find(tree, name), find(donor_tree, name)
    donor_lines, lines = donor.splitlines(keepends=True), reference.splitlines(keepends=True)
    grafted = [new]
    for class_name in name.split(".")[:-1]:
        known = {node.name for node in _class(tree, class_name).body if isinstance(node, Function)}
        theirs = [node for node in _class(donor_tree, class_name).body if isinstance(node, Function)]
        grafted += [node for node in theirs if node.name not in known]
    texts = [_closed("".join(donor_lines[slice(*_whole(node))])) for node in grafted]
    brought = [_closed("".join(donor_lines[slice(*_whole(node))])) for node in _needed(grafted, donor_tree, tree)]
    start, end = _whole(old)
    home = next(node for node in tree.body if node.lineno <= old.lineno <= (node.end_lineno or 0))
    top = _whole(home)[0]
    return "".join([*lines[:top], *brought, *lines[top:start], *texts, *lines[end:]])


def _needed(functions: list[Function], donor: ast.Module, reference: ast.Module) -> list[ast.stmt]:
    """The donor's top-level statements that `functions` use, directly or not, and the reference has not."""
    known = {bound for node in reference.body for bound in _binds(node)}
    homes = {bound: node for node in donor.body for bound in _binds(node) if bound not in known}
    pending: list[ast.AST] = list(functions)
    needed: list[ast.stmt] = []
    while pending:
        for node in ast.walk(pending.pop()):
            home = homes.get(node.id) if isinstance(node, ast.Name) else None
            if home is not None and home not in needed:
                needed.append(home)
                pending.append(home)
    return [node for node in donor.body if node in needed]


def _binds(node: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement gives a meaning to."""
    if isinstance(node, Function | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    else:
        inner = ast.walk(node)
        yield from (name.id for name in inner if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store))


def _class(tree: ast.Module, name: str) -> ast.ClassDef:
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def _whole(node: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement with its decorators, as a slice of the lines."""
    decorators = getattr(node, "decorator_list", [])
    return min(part.lineno for part in [node, *decorators]) - 1, node.end_lineno or 0


def _end_of_head(node: Function, lines: list[str]) -> int:
    """The number of the line with the colon that ends the function's head: the first outside all brackets."""
    depth = 0
    for token in tokenize.generate_tokens(iter(lines[node.lineno - 1 :]).__next__):
        depth += (token.string in "([{") - (token.string in ")]}") if token.type == tokenize.OP else 0
        if token.type == tokenize.OP and token.string == ":" and depth == 0:
            return node.lineno - 1 + token.end[0]
    raise AssertionError("a function has a colon")


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _closed(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"
