"""the order is that of the forward pass, the root last: it must be reversed"""

from typing import Any

from minigrad.autograd import Function


def topological_order(root: Any, stop: frozenset[int] = frozenset()) -> list[Any]:
    order: list[Any] = []
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            if isinstance(node, Function) and id(node) not in stop:
                stack += [(parent, False) for parent in node.parents or () if parent is not None]
    return order
