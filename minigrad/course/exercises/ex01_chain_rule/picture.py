"""The picture of exercise 01: a graph with two diamonds, numbered in the student's order, with its gradients."""

from typing import Any

EDGES = {"L": ("c",), "c": ("a", "b"), "a": ("x",), "b": ("a", "y"), "x": (), "y": ()}
PLACES = {"L": (4, 1.0), "c": (3, 1.0), "a": (1.5, 1.8), "b": (2, 0.2), "x": (0, 1.8), "y": (0.5, 0.2)}


def run(case: dict[str, Any]) -> Any:
    """Order the graph, and walk it with derivatives of 1: each gradient counts the paths from L."""
    from minigrad.autograd import Function, topological_order

    nodes = {name: Function() for name in EDGES}
    for name, node in nodes.items():
        node.parents = tuple(nodes[parent] for parent in EDGES[name])
    names = {id(node): name for name, node in nodes.items()}
    order = [names[id(node)] for node in topological_order(nodes["L"])]
    pending, passed_on = {"L": 1}, {}
    for name in order:
        passed_on[name] = pending.pop(name, 0)
        for parent in EDGES[name]:
            pending[parent] = pending.get(parent, 0) + passed_on[name]
    return {"order": order, "paths": passed_on}


def draw(figure: Any, data: dict[str, Any]) -> None:
    """Nodes with their number in the order, arrows in the direction of the walk."""
    axes = figure.add_subplot()
    for name, parents in EDGES.items():
        for parent in parents:
            arrow = {"arrowstyle": "-|>", "color": "#57606a", "shrinkA": 20, "shrinkB": 20}
            axes.annotate("", PLACES[parent], PLACES[name], arrowprops=arrow)
    for name, (x, y) in PLACES.items():
        when = data["order"].index(name) + 1 if name in data["order"] else "never"
        axes.scatter([x], [y], s=1500, color="#a9cfe8", edgecolors="#08305c", zorder=3)
        axes.text(x, y, name, ha="center", va="center", fontsize=13, zorder=4)
        text = f"visited: {when}\ngradient: {data['paths'].get(name, 0)}"
        upper = y > 1.5  # where arrows come from below
        axes.text(x, y + (0.3 if upper else -0.3), text, ha="center", va="bottom" if upper else "top", fontsize=9)
    axes.set_title("Your order, and the gradients it gives with all derivatives 1: x should get 2, y 1", fontsize=11)
    axes.set_xlim(-0.5, 4.5)
    axes.set_ylim(-0.6, 2.7)
    axes.axis("off")
