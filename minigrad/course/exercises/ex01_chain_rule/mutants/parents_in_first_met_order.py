"""a node is listed when it is first met, not after everything that uses it: in a diamond a gradient arrives too late"""

from typing import Any

from minigrad.autograd import Function


def topological_order(root: Any, stop: frozenset[int] = frozenset()) -> list[Any]:
    order: list[Any] = []
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        order.append(node)
        if isinstance(node, Function) and id(node) not in stop:
            stack += [parent for parent in node.parents or () if parent is not None]
    return order
