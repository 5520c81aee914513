"""The backward in two halves: gradients of the inputs now, gradients of the weights when there is time.

A pipeline stage owes its neighbour the gradient of its input; nobody waits for the gradients of its weights. A
schedule that fills its bubble with the second half ("zero bubble") needs the two apart.

Source: Qi and others, Zero Bubble Pipeline Parallelism, 2023, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.autograd import Function, _first_gradient, _through_hooks, set_grad_enabled, topological_order
from minigrad.tensor import Tensor


class WeightGradients:
    """The second half of a backward, waiting.

    It keeps the activations and the gradients at the nodes where a weight enters; `run()` turns them into `.grad`
    fields and lets them go.
    """

    def __init__(self, order: list[Any], live: set[int], at_nodes: dict[int, Any]) -> None:
        self._order: list[Any] | None = order
        self._live = live
        self._pending = at_nodes
        self._arrived_later = {id(node) for node in order} - at_nodes.keys()  # their hooks have not run

    def run(self) -> None:
        """Add the gradients of all other leaves to their `.grad`.

        Raises:
            RuntimeError: it has run before.
        """
        if self._order is None:
            raise RuntimeError("the weight gradients of this split backward have been computed already")
        order, self._order = self._order, None
        with set_grad_enabled(False):
            for node in order:
                gradient = self._pending.pop(id(node), None)
                if gradient is None:
                    continue
                if node.hooks and id(node) in self._arrived_later:
                    gradient = _through_hooks(node.hooks, gradient)
                if not isinstance(node, Function):
                    if id(node) not in self._live:
                        node.accumulate_grad(gradient)
                    continue
                assert node.parents is not None
                wanted = [p is not None and id(p) not in self._live for p in node.parents]
                _send(node, gradient, wanted, self._pending)
                node.release()


def split_backward(
    output: Tensor, inputs: Sequence[Tensor], gradient: Any = None
) -> tuple[tuple[Any, ...], WeightGradients]:
    """Gradients of `inputs` at once; those of every other leaf later.

    Each rule is asked twice, first for the operands that lead to `inputs`, then for the others. For a matrix product
    that is half of the work each time; a fused rule does all of it twice.

    Args:
        output: tensor to differentiate.
        inputs: leaf tensors whose gradients are wanted now.
        gradient: dL/d(output); 1 for a scalar.

    Returns:
        (one array per input, or None where `output` does not depend on it; the second half).

    Raises:
        RuntimeError: as `backward`.
        ValueError: an input that is not a leaf.

    >>> x, w = Tensor([2.0], requires_grad=True), Tensor([3.0], requires_grad=True)
    >>> (dx,), later = split_backward((x * w).sum(), [x])
    >>> dx.tolist(), w.grad
    ([3.0], None)
    >>> later.run(); w.grad
    Tensor([2.])
    """
    for position, tensor in enumerate(inputs):
        if not tensor.is_leaf:
            raise ValueError(f"inputs[{position}] is not a leaf; cut the graph there: x.detach().requires_grad_()")
    start = output.grad_fn or output
    order = topological_order(start)
    wanted = {id(tensor) for tensor in inputs}
    live = _leading_to(wanted, order)
    pending: dict[int, Any] = {id(start): _first_gradient(output, gradient, False)}
    at_nodes: dict[int, Any] = {}
    found: dict[int, Any] = {}
    with set_grad_enabled(False):
        for node in order:
            if id(node) not in pending:
                continue
            arrived = pending.pop(id(node))
            if node.hooks:
                arrived = _through_hooks(node.hooks, arrived)
            if id(node) in wanted:
                found[id(node)] = arrived
            if not isinstance(node, Function):
                at_nodes[id(node)] = arrived
                continue
            assert node.parents is not None
            _send(node, arrived, [p is not None and id(p) in live for p in node.parents], pending)
            if any(p is not None and id(p) not in live for p in node.parents):
                at_nodes[id(node)] = arrived  # a weight enters here
            else:
                node.release()
    return tuple(found.get(id(tensor)) for tensor in inputs), WeightGradients(order, live, at_nodes)


def _leading_to(wanted: set[int], order: list[Any]) -> set[int]:
    """Identities of all nodes from which a wanted leaf can be reached."""
    live: set[int] = set(wanted)
    for node in reversed(order):  # parents before the nodes that use them
        if isinstance(node, Function) and any(id(p) in live for p in node.parents or () if p is not None):
            live.add(id(node))
    return live


def _send(node: Function, gradient: Any, wanted: list[bool], pending: dict[int, Any]) -> None:
    """Ask one rule for the gradients of the wanted operands only, and pass them on."""
    if not any(wanted):
        return
    assert node.parents is not None
    needs, node.needs = node.needs, tuple(wanted)
    try:
        shares = node.pull(gradient, create_graph=False)
    finally:
        node.needs = needs
    for parent, want, share in zip(node.parents, wanted, shares, strict=True):
        if want and share is not None:
            pending[id(parent)] = pending[id(parent)] + share if id(parent) in pending else share
