"""Reverse-mode differentiation: the walk back through the graph that operations left behind.

`backward` puts the nodes (see `function.py`) in an order in which each comes after everything that used its output,
and walks them once, adding up what arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.device import Array
from minigrad.function import Function
from minigrad.modes import Watcher, current_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function", "Fused", "Watcher", "backward", "grad", "is_grad_enabled", "no_grad", "set_grad_enabled",
    "topological_order",
]  # fmt: skip


def topological_order(root: Any, stop: frozenset[int] = frozenset()) -> list[Any]:
    """Every node that `root` depends on, `root` first, each before its parents.

    Depth first with a stack of our own: Python's recursion limit of 1,000 would end a chain of 1,001
    operations, and training graphs are longer.

    Args:
        root: the node (or leaf tensor) to start at.
        stop: identities of nodes whose parents are not visited.

    Returns:
        Nodes and leaf tensors.

    Raises:
        RuntimeError: the graph was released by an earlier walk.

    Cost: O(nodes + edges).
    """
    order: list[Any] = []
    seen: set[int] = set()
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if node is None:  # laid on a node whose parents came next; they are done, so it is its turn
            order.append(stack.pop())
            continue
        place = id(node)
        if place in seen:
            continue
        seen.add(place)
        if not isinstance(node, Function) or place in stop:
            order.append(node)
            continue
        if node.parents is None:
            raise RuntimeError(
                "this graph was released by an earlier backward(); to go through it twice, call "
                "backward(retain_graph=True) the first time"
            )
        stack.append(node)
        stack.append(None)
        # Reversed, so that the first parent is visited first and comes last in the order: the parameters of a
        # layer (later parents) stand right behind it, and their gradients are ready early in the walk.
        for parent in reversed(node.parents):
            if parent is not None:
                stack.append(parent)
    order.reverse()
    return order


def _walk(
    root: Any,
    grad: Any,
    *,
    create_graph: bool,
    retain_graph: bool,
    inputs: Sequence[Any] | None = None,
    stop: bool = False,
) -> list[Any]:
    """Pull `grad` back from the tensor `root`.

    Without `inputs` the leaves' `.grad` fields receive the result; with them the gradients of exactly these
    tensors are returned (None for one that `root` does not depend on) and no `.grad` is touched.
    """
    start = root.grad_fn or root
    wanted = {t.grad_fn or t for t in inputs} if inputs is not None else set()
    found: dict[Any, Any] = {}
    pending: dict[Any, Any] = {start: grad}  # gradient collected so far, by node; a node's hash is its identity
    order = topological_order(start, stop=frozenset(map(id, wanted)) if stop else frozenset())
    _, watcher = current_mode.get()
    with set_grad_enabled(create_graph):
        for node in order:
            gradient = pending.pop(node, None)
            if gradient is None:  # every path to this node passed through an input that needs no gradient
                continue
            if node.hooks and not (stop and node in wanted):  # an inner walk ends before its inputs' hooks
                gradient = _through_hooks(node.hooks, gradient)
            if node in wanted:
                found[node] = gradient
                if stop:
                    continue
            if not isinstance(node, Function):
                if inputs is None:
                    node.accumulate_grad(gradient)
                continue
            parents = node.parents
            assert parents is not None
            if watcher is None:
                shares = node.pull(gradient, create_graph)
            else:
                shares = watcher.backward(node, gradient, create_graph)
            if type(shares) is not tuple or len(shares) != len(parents):
                got = f"{len(shares)} values" if type(shares) is tuple else type(shares).__name__
                raise TypeError(
                    f"{type(node).__name__}.backward must return a tuple of {len(parents)}, one gradient (or None) "
                    f"per input, got {got}"
                )
            for parent, share in zip(parents, shares):  # noqa: B905 (compared above, and strict= takes time)
                if parent is not None and share is not None:
                    # A sum and never `+=`: two parents may have been handed the same array.
                    pending[parent] = pending[parent] + share if parent in pending else share
            if not retain_graph:
                node.release()
    return [found.get(t.grad_fn or t) for t in inputs] if inputs is not None else []


def _through_hooks(hooks: Sequence[Any], gradient: Any) -> Any:
    """Show a gradient to the hooks of its tensor; what one returns takes its place."""
    for hook in hooks:
        as_tensor = gradient if isinstance(gradient, Function.tensor_type) else Function.tensor_type.wrap(gradient)
        answer = hook(as_tensor)
        if answer is not None:
            gradient = answer if isinstance(gradient, Function.tensor_type) else answer.data
    return gradient


def backward(
    tensor: Any, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Add the gradient of `tensor` to the `.grad` of every leaf it depends on.

    Args:
        tensor: what to differentiate.
        gradient: dL/d(tensor), of the tensor's shape; may be left out for a scalar, where it is 1.
        retain_graph: keep the graph for another walk. Default: the value of `create_graph`.
        create_graph: record the walk itself, so that the gradients can be differentiated again.

    Raises:
        RuntimeError: the tensor has no graph, is not a scalar and no gradient is given, the graph was
            released by an earlier walk, or a kept value was written in place since.
        ValueError: gradient of another shape.

    Cost: about twice the forward's FLOPs.
    """
    retain = create_graph if retain_graph is None else retain_graph
    _walk(tensor, _first_gradient(tensor, gradient, create_graph), create_graph=create_graph, retain_graph=retain)


def grad(
    output: Any,
    inputs: Any,
    grad_output: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Gradients of `output` with respect to `inputs`, returned; no `.grad` field is touched.

    Args:
        output: tensor to differentiate.
        inputs: a tensor or a sequence of tensors, leaves or not.
        grad_output: dL/d(output); 1 for a scalar.
        retain_graph: keep the graph for another walk. Default: the value of `create_graph`.
        create_graph: record the walk, for gradients of gradients.
        allow_unused: return None for an input that the output does not depend on, instead of refusing it.

    Returns:
        A tuple of tensors, one per input.

    Raises:
        RuntimeError: as `backward`; and an unused input unless allowed.

    >>> import minigrad as mg
    >>> x = mg.Tensor(3.0, requires_grad=True)
    >>> (first,) = mg.grad(x ** 3, x, create_graph=True)
    >>> (second,) = mg.grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    if not isinstance(output, Function.tensor_type):
        raise TypeError(f"grad needs a tensor to differentiate, got {type(output).__name__}")
    inputs = (inputs,) if isinstance(inputs, Function.tensor_type) else tuple(inputs)
    for position, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            raise RuntimeError(f"inputs[{position}] does not require a gradient; set requires_grad=True first")
    retain = create_graph if retain_graph is None else retain_graph
    seed = _first_gradient(output, grad_output, create_graph)
    found = _walk(output, seed, create_graph=create_graph, retain_graph=retain, inputs=inputs)
    for position, gradient in enumerate(found):
        if gradient is None and not allow_unused:
            raise RuntimeError(f"output does not depend on inputs[{position}]; pass allow_unused=True for None")
    wrap = Function.tensor_type.wrap
    return tuple([g if g is None or isinstance(g, Function.tensor_type) else wrap(g) for g in found])


def _first_gradient(tensor: Any, gradient: Any, as_tensor: bool) -> Any:
    """The gradient the walk starts with, checked: an array, or a tensor when the walk is recorded."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "backward() on a tensor that has no graph: none of its inputs has requires_grad=True, or it was "
            "made under no_grad()"
        )
    if gradient is None:
        if tensor.data.size != 1:
            raise RuntimeError(
                f"backward() on a tensor of shape {tensor.shape} needs a gradient of that shape; only a scalar "
                "has an obvious one (1)"
            )
        ones: Array = np.empty_like(tensor.data)  # np.ones_like is Python, and three times as slow
        ones.fill(1)
        return Function.tensor_type.wrap(ones) if as_tensor else ones
    data = gradient.data if isinstance(gradient, Function.tensor_type) else np.asarray(gradient, tensor.dtype)
    if data.shape != tensor.shape:
        raise ValueError(f"gradient has shape {data.shape}, the tensor has {tensor.shape}; they must be equal")
    if as_tensor:
        return gradient if isinstance(gradient, Function.tensor_type) else Function.tensor_type.wrap(data)
    return data


class Fused(Function):
    """An operation with a fast hand-derived backward on arrays, and a composite definition for the rest.

    `composite(*tensors, **params)` writes the same operation in primitives. Higher derivatives go through it,
    and the tests hold the fast backward against it.
    """

    keeps_inputs = True

    @staticmethod
    def composite(*inputs: Any, **params: Any) -> Any:
        """The operation in primitives, on tensors."""
        raise NotImplementedError

    def backward_with_graph(self, grad: Any, *operands: Any) -> tuple[Any, ...]:
        """Differentiate the composite instead of the fast rule."""
        operands = operands[: len(self.needs)]  # without the output, where a rule keeps it
        with set_grad_enabled(True):
            output = self.composite(*operands, **self.params)
        # A tensor given twice (attention of x on x) has one gradient: it is returned at the first place only.
        places = {id(t): i for i, t in reversed(list(enumerate(operands))) if self.needs[i]}
        wanted = [operands[i] for i in places.values()]
        shares: list[Any] = [None] * len(operands)
        found = _walk(output, grad, create_graph=True, retain_graph=True, inputs=wanted, stop=True)
        for i, share in zip(places.values(), found, strict=True):
            shares[i] = share
        return tuple(shares)
