"""a function that calls itself for each parent: Python's recursion limit ends it on a long chain"""

from typing import Any

from minigrad.autograd import Function


def topological_order(root: Any, stop: frozenset[int] = frozenset()) -> list[Any]:
    order: list[Any] = []
    seen: set[int] = set()

    def visit(node: Any) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, Function) and id(node) not in stop:
            for parent in node.parents or ():
                if parent is not None:
                    visit(parent)
        order.append(node)

    visit(root)
    return order[::-1]
