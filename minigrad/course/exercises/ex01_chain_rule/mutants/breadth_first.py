"""nodes are listed level by level, but a node's level is that of its nearest user: a farther one comes after it"""

from typing import Any

from minigrad.autograd import Function


def topological_order(root: Any, stop: frozenset[int] = frozenset()) -> list[Any]:
    order = [root]
    seen = {id(root)}
    for node in order:
        if isinstance(node, Function) and id(node) not in stop:
            for parent in node.parents or ():
                if parent is not None and id(parent) not in seen:
                    seen.add(id(parent))
                    order.append(parent)
    return order
