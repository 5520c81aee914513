"""`stop` is ignored: the parents of the nodes in it are not to be visited"""

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
            if isinstance(node, Function):
                stack += [(parent, False) for parent in node.parents or () if parent is not None]
    return order[::-1]
