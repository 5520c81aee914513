"""Looking at a graph: as text, as a drawing, and as the memory it keeps alive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from minigrad.autograd import Function, Watcher, topological_order
from minigrad.device import Array
from minigrad.tensor import Tensor

# ------------------------------------------------------------------------------------------------ what is kept


def kept_arrays(node: Function) -> Iterator[Array]:
    """The arrays a node holds for its backward: inputs, output, and what the rule stored itself."""
    for tensor in getattr(node, "kept_inputs", ()):
        yield tensor.data
    for value in vars(node).values():
        if isinstance(value, np.ndarray):
            yield value


def memory_of(array: Array) -> tuple[int, int]:
    """(identity, bytes) of the memory block an array lies in: two views of one block are counted once."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array), array.nbytes


def saved_bytes(output: Tensor, *, parameters: bool = False) -> dict[str, int]:
    """Bytes that the graph behind `output` keeps alive, by operation.

    A block that several operations keep is counted at the first of them in the order of the walk.

    Args:
        output: a tensor with a graph.
        parameters: count leaf tensors too. They live anyway; activations are what a graph costs.

    Returns:
        Operation name to bytes; their sum is the whole.

    >>> x = Tensor(np.zeros(1000), requires_grad=True)
    >>> saved_bytes((x.exp() * x.tanh()).sum())
    {'Mul': 16000}
    """
    nodes = _nodes(output)
    seen = set() if parameters else {memory_of(leaf.data)[0] for leaf in nodes if isinstance(leaf, Tensor)}
    found: defaultdict[str, int] = defaultdict(int)
    for node in nodes:
        if isinstance(node, Function):
            for array in kept_arrays(node):
                block, size = memory_of(array)
                if block not in seen:
                    seen.add(block)
                    found[type(node).__name__] += size
    return dict(found)


class SavedActivations(Watcher):
    """Records, operation by operation, how many bytes the graph keeps alive: `history` is a list of (name, bytes).

    In the forward it rises, in the backward it falls as nodes are released. Leaves are not counted. A graph that is
    dropped without a backward is not noticed: its bytes stay in the count.

    >>> x = Tensor(np.zeros(1000), requires_grad=True)
    >>> with SavedActivations() as saved:
    ...     x.exp().tanh().sum().backward()
    >>> saved.peak
    16000
    """

    def __init__(self) -> None:
        self.history: list[tuple[str, int]] = []
        self._holders: defaultdict[int, set[int]] = defaultdict(set)  # block -> nodes that keep it
        self._sizes: dict[int, int] = {}
        self._blocks: dict[int, list[int]] = {}  # node -> blocks

    @property
    def current(self) -> int:
        """Bytes kept now."""
        return sum(self._sizes.values())

    @property
    def peak(self) -> int:
        """Largest number of bytes kept at once."""
        return max((size for _, size in self.history), default=0)

    def forward(self, op: type[Function], inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run the operation and count what its node keeps."""
        output = super().forward(op, inputs, params)
        node = output.grad_fn
        if node is not None and id(node) not in self._blocks:
            leaves = {memory_of(t.data)[0] for t in inputs if t.grad_fn is None}
            blocks = [memory_of(array) for array in kept_arrays(node)]
            self._blocks[id(node)] = [block for block, _ in blocks if block not in leaves]
            for block, size in blocks:
                if block not in leaves:
                    self._holders[block].add(id(node))
                    self._sizes[block] = size
        self.history.append((op.__name__, self.current))
        return output

    def backward(self, node: Function, gradient: Any, create_graph: bool) -> tuple[Any, ...]:
        """Run the rule; the node is released right after it."""
        shares = super().backward(node, gradient, create_graph)
        for block in self._blocks.pop(id(node), ()):
            self._holders[block].discard(id(node))
            if not self._holders[block]:
                self._sizes.pop(block, None)
        self.history.append((f"{type(node).__name__} backward", self.current))
        return shares


def _nodes(output: Tensor) -> list[Any]:
    return topological_order(output.grad_fn or output)


# ------------------------------------------------------------------------------------------------------ as text


def graph_text(output: Tensor, names: dict[str, Tensor] | None = None) -> str:
    """The graph as an indented tree, output first; a node met again is only referred to.

    Args:
        output: a tensor with a graph.
        names: leaf names, for example `dict(model.named_parameters())`.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> y = x * x
    >>> print(graph_text((y + y.exp()).sum(), {"x": x}))
    1 Sum
      2 Add
        3 Mul
          x (2,)
          x (2,)
        4 Exp
          3 (above)
    """
    labels = {id(tensor): name for name, tensor in (names or {}).items()}
    numbers: dict[int, int] = {}
    lines: list[str] = []
    stack: list[tuple[Any, int]] = [(output.grad_fn or output, 0)]
    while stack:
        node, depth = stack.pop()
        indent = "  " * depth
        if not isinstance(node, Function):
            lines.append(f"{indent}{labels.get(id(node), 'leaf')} {node.shape}")
        elif id(node) in numbers:
            lines.append(f"{indent}{numbers[id(node)]} (above)")
        else:
            numbers[id(node)] = len(numbers) + 1
            lines.append(f"{indent}{numbers[id(node)]} {type(node).__name__}")
            stack.extend((parent, depth + 1) for parent in reversed(node.parents or ()) if parent is not None)
    return "\n".join(lines)


# -------------------------------------------------------------------------------------------------- as a drawing


@dataclass
class _Box:
    """A node's place in the drawing, in pixels."""

    label: str
    leaf: bool
    x: float = 0.0
    y: float = 0.0


WIDTH, HEIGHT, GAP_X, GAP_Y = 150, 30, 18, 34


def graph_svg(output: Tensor, names: dict[str, Tensor] | None = None, limit: int = 400) -> str:
    """The graph as an SVG picture: leaves above, output below, an arrow from each input to its user.

    Layers come from the longest path to a leaf; within a layer, nodes are put near the mean of their inputs.

    Args:
        output: a tensor with a graph.
        names: leaf names.
        limit: largest number of nodes that is still drawn.

    Returns:
        The text of an SVG file, legible on light and dark ground.

    Raises:
        ValueError: more nodes than `limit`.
    """
    nodes = _nodes(output)
    if len(nodes) > limit:
        raise ValueError(f"the graph has {len(nodes)} nodes, more than limit={limit}; draw a smaller model")
    labels = {id(tensor): name for name, tensor in (names or {}).items()}
    boxes = {
        id(n): _Box(type(n).__name__, False)
        if isinstance(n, Function)
        else _Box(f"{labels.get(id(n), 'leaf')} {n.shape}", True)
        for n in nodes
    }
    parents = {
        id(n): [id(p) for p in n.parents or () if p is not None] if isinstance(n, Function) else [] for n in nodes
    }
    width, height = _place(boxes, parents, [id(n) for n in reversed(nodes)])
    arrows = [_arrow(boxes[p], boxes[n]) for n, above in parents.items() for p in above]
    drawn = [_draw(box) for box in boxes.values()]
    return "\n".join([_HEAD.format(width=width, height=height), *arrows, *drawn, "</svg>\n"])


def _place(boxes: dict[int, _Box], parents: dict[int, list[int]], leaves_first: list[int]) -> tuple[float, float]:
    """Give every box its place; returns the size of the picture."""
    layer: dict[int, int] = {}
    for node in leaves_first:
        layer[node] = 1 + max((layer[p] for p in parents[node]), default=-1)
    for node in reversed(leaves_first):  # a leaf stands right above its first user, not at the far top
        for p in parents[node]:
            if boxes[p].leaf:
                layer[p] = layer[node] - 1
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for node in leaves_first:
        rows[layer[node]].append(node)
    widest = max(len(row) for row in rows.values())
    for depth in sorted(rows):
        row = rows[depth]
        row.sort(key=lambda n: np.mean([boxes[p].x for p in parents[n]]) if parents[n] else boxes[n].x)
        start = (widest - len(row)) * (WIDTH + GAP_X) / 2
        for position, node in enumerate(row):
            boxes[node].x = GAP_X + start + position * (WIDTH + GAP_X)
            boxes[node].y = GAP_X + (depth - min(rows)) * (HEIGHT + GAP_Y)
    depth_count = max(rows) - min(rows) + 1
    return widest * (WIDTH + GAP_X) + GAP_X, depth_count * (HEIGHT + GAP_Y) - GAP_Y + 2 * GAP_X


def _arrow(above: _Box, below: _Box) -> str:
    x1, y1 = above.x + WIDTH / 2, above.y + HEIGHT
    x2, y2 = below.x + WIDTH / 2, below.y - 4
    middle = (y1 + y2) / 2
    return f'<path class="arrow" d="M{x1:g},{y1:g} C{x1:g},{middle:g} {x2:g},{middle:g} {x2:g},{y2:g}"/>'


def _draw(box: _Box) -> str:
    kind = "leaf" if box.leaf else "op"
    label = escape(box.label if len(box.label) <= 25 else box.label[:24] + "…")
    return (
        f'<g class="{kind}"><title>{escape(box.label)}</title>'
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{WIDTH}" height="{HEIGHT}" rx="{6 if box.leaf else 14}"/>'
        f'<text x="{box.x + WIDTH / 2:g}" y="{box.y + HEIGHT / 2 + 4:g}">{label}</text></g>'
    )


_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" \
height="{height:g}" font-family="sans-serif" font-size="11" role="img" aria-label="computation graph">
<style>
.op rect {{ fill: #08519c; }} .op text {{ fill: #ffffff; text-anchor: middle; }}
.leaf rect {{ fill: #fdd0a2; stroke: #d94801; }} .leaf text {{ fill: #222222; text-anchor: middle; }}
.arrow {{ fill: none; stroke: #888888; stroke-width: 1.4; marker-end: url(#tip); }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0,0 L8,4 L0,8 z" fill="#888888"/></marker></defs>"""
