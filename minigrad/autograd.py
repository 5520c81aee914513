"""Reverse-mode differentiation: the graph, and the walk back through it.

Every operation on tensors that need a gradient leaves a node behind, an instance of a `Function` subclass.
The node knows its parents (the nodes, or leaf tensors, that made its inputs) and how to turn the gradient of
its output into gradients of its inputs. `backward` orders the nodes so that each comes after everything that
used its output, and walks them once, adding up what arrives.

The lines of a derivative rule run in two ways. In the usual walk they get NumPy arrays and compute numbers.
With `create_graph=True` they get tensors, so that the same lines leave a new graph behind, and gradients of
gradients follow without a second rule.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar, Token
from typing import Any, ClassVar

import numpy as np

from minigrad.device import Array, is_array

# A ContextVar and not a module global: threads and simulated ranks each have their own mode.
_grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def is_grad_enabled() -> bool:
    """Whether operations record a graph at this moment."""
    return _grad_enabled.get()


@contextlib.contextmanager
def set_grad_enabled(mode: bool) -> Iterator[None]:
    """Record a graph (True) or not (False) inside the `with` block or the decorated function."""
    token = _grad_enabled.set(mode)
    try:
        yield
    finally:
        _grad_enabled.reset(token)


def no_grad() -> contextlib._GeneratorContextManager[None]:
    """Inside `with no_grad():` (or under `@no_grad()`) operations leave no graph and keep nothing alive."""
    return set_grad_enabled(False)


class Watcher:
    """Looks on while operations run: the base of the profiler and of anomaly detection.

    Inside `with watcher:` every operation and every step of a walk is handed to it, to be run by calling
    `compute()`. Watchers nest; each passes on to the one around it.
    """

    _token: Token[Watcher | None] | None = None

    def __enter__(self) -> Any:
        if self._token is not None:
            raise RuntimeError(f"this {type(self).__name__} is watching already; make another one")
        self.outer = _watcher.get()
        self._token = _watcher.set(self)
        return self

    def __exit__(self, *details: object) -> None:
        assert self._token is not None
        _watcher.reset(self._token)
        self._token = None

    def forward(self, op: type[Function], inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run one operation; returns its output tensor."""
        return self.outer.forward(op, inputs, params) if self.outer else op.compute(inputs, params)

    def backward(self, node: Function, gradient: Any, create_graph: bool) -> tuple[Any, ...]:
        """Run one node's rule; returns the gradients of its inputs."""
        if self.outer:
            return self.outer.backward(node, gradient, create_graph)
        return node.pull(gradient, create_graph)


class Function:
    """One differentiable operation: how to compute it, and how to pull a gradient back through it.

    A subclass writes two methods. `forward(*arrays, **params)` computes an array from arrays; whatever the
    backward needs besides inputs and output it stores on `self`. `backward(grad, *operands)` returns one
    gradient per input, or None for an input that needs none (`self.needs[i]` tells). Its operands are what
    the class asks to keep: the inputs if `keeps_inputs`, then the output if `keeps_output`. Nothing else is
    kept alive: an `Add` costs no memory.

    A backward made of plain operators (`* + @`, `.sum`, `.reshape`, other Functions through `run`) serves
    arrays and tensors alike. One that is not belongs in a subclass of `Fused`.

    >>> import minigrad as mg
    >>> class Cube(mg.Function):
    ...     keeps_inputs = True
    ...     def forward(self, x): return x * x * x
    ...     def backward(self, grad, x): return (grad * 3 * x * x,)
    >>> x = mg.Tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad.item()
    12.0
    """

    keeps_inputs: ClassVar[bool] = False
    keeps_output: ClassVar[bool] = False
    is_view: ClassVar[bool] = False  # the output may share memory with the first input

    # Set by tensor.py when it defines the class: the one name that this layer needs from the one above it.
    tensor_type: ClassVar[Any] = None

    # Instances hold the graph in their __dict__; after `release` these class values show through again.
    parents: tuple[Any, ...] | None = None
    needs: tuple[bool, ...] = ()
    params: dict[str, Any] = {}  # noqa: RUF012
    hooks: list[Any] | None = None

    def forward(self, *arrays: Any, **params: Any) -> Any:
        """Compute the output array."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, grad: Any, *operands: Any) -> tuple[Any, ...]:
        """Gradients of the inputs from the gradient of the output."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def backward_with_graph(self, grad: Any, *operands: Any) -> tuple[Any, ...]:
        """The same on tensors, recording. A rule in plain operators needs no second version."""
        return self.backward(grad, *operands)

    @classmethod
    def apply(cls, *inputs: Any, **params: Any) -> Any:
        """Compute on tensors, and leave a node behind if any input needs a gradient.

        Args:
            inputs: tensors.
            params: whatever `forward` takes besides arrays (axes, shapes, flags); not differentiated.

        Returns:
            A Tensor.

        Raises:
            ValueError: shapes that do not fit, with the operation and the shapes.
        """
        watcher = _watcher.get()
        return cls.compute(inputs, params) if watcher is None else watcher.forward(cls, inputs, params)

    @classmethod
    def compute(cls, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """What `apply` does, unwatched."""
        tensor_type = Function.tensor_type
        for tensor in inputs:
            if not isinstance(tensor, tensor_type):
                raise TypeError(f"{cls.__name__} needs tensors, got {type(tensor).__name__}; wrap it: mg.Tensor(x)")
        node = cls()
        try:
            data = node.forward(*[tensor.data for tensor in inputs], **params)
        except ValueError as error:
            shapes = " and ".join(str(tensor.shape) for tensor in inputs)
            raise ValueError(f"{cls.__name__} does not fit shapes {shapes}: {error}") from None
        except TypeError:
            devices = sorted({tensor.device for tensor in inputs})
            if len(devices) < 2:
                raise
            where = " and ".join(devices)
            raise TypeError(f"{cls.__name__} has inputs on {where}: move them to one, with x.to('cuda')") from None
        except MemoryError as error:
            what = "GPU" if inputs[0].device == "cuda" else "machine"
            raise MemoryError(
                f"{cls.__name__}: the {what} is out of memory ({error}); use a smaller batch, accumulate gradients, "
                "or recompute activations"
            ) from error
        if not (is_array(data) or isinstance(data, np.generic)):
            raise TypeError(f"{cls.__name__}.forward must return an array, got {type(data).__name__}")
        output = tensor_type.wrap(data)
        if cls.is_view and np.may_share_memory(output.data, inputs[0].data):  # an index or a reshape may copy
            output.version = inputs[0].version
        if _grad_enabled.get():
            for tensor in inputs:
                if tensor.requires_grad:
                    node.record(inputs, output, params)
                    break
        return output

    @classmethod
    def run(cls, *operands: Any, **params: Any) -> Any:
        """Use this operation inside another's backward: compute on arrays, record on tensors."""
        if is_array(operands[0]) or isinstance(operands[0], np.generic):
            return cls().forward(*operands, **params)
        return cls.apply(*operands, **params)

    def record(self, inputs: tuple[Any, ...], output: Any, params: dict[str, Any]) -> None:
        """Become a node of the graph: remember parents and what the backward wants kept."""
        self.needs = tuple([tensor.requires_grad for tensor in inputs])
        self.parents = tuple([(t.grad_fn or t) if t.requires_grad else None for t in inputs])
        self.params = params
        if self.keeps_inputs:
            self.kept_inputs = inputs
            self.kept_versions = [tensor.version[0] for tensor in inputs]
        if self.keeps_output:
            # The array and not the tensor: the tensor owns this node, and a cycle would outlive its use.
            self.kept_output = output.data
            self.output_version = output.version
            self.kept_output_version = output.version[0]
        output.grad_fn = self
        output.requires_grad = True

    def operands(self, as_tensors: bool) -> list[Any]:
        """What the class asked to keep, as arrays or as tensors, checked against writes since."""
        found: list[Any] = []
        if self.keeps_inputs:
            for position, (tensor, version) in enumerate(
                zip(self.kept_inputs, self.kept_versions, strict=True)
            ):
                if tensor.version[0] != version:
                    self._refuse_overwritten(f"input {position} (shape {tensor.shape})")
                found.append(tensor if as_tensors else tensor.data)
        if self.keeps_output:
            if self.output_version[0] != self.kept_output_version:
                self._refuse_overwritten(f"its output (shape {self.kept_output.shape})")
            found.append(self._output_tensor() if as_tensors else self.kept_output)
        return found

    def _output_tensor(self) -> Any:
        tensor = Function.tensor_type.wrap(self.kept_output)
        tensor.version = self.output_version
        tensor.grad_fn = self
        tensor.requires_grad = True
        return tensor

    def _refuse_overwritten(self, what: str) -> None:
        raise RuntimeError(
            f"the backward of {type(self).__name__} needs {what} as it was in the forward, but it was written "
            "in place since; write to a copy (x.clone()) or call backward() first"
        )

    def pull(self, gradient: Any, create_graph: bool) -> tuple[Any, ...]:
        """Gradients of the inputs, checked operands and all: one step of the walk."""
        rule = self.backward_with_graph if create_graph else self.backward
        return rule(gradient, *self.operands(as_tensors=create_graph))

    def release(self) -> None:
        """Forget everything: the activations this node kept alive are free at once."""
        self.__dict__.clear()


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


# ------------------------------------------------------------------------------------------ walking the graph


def topological_order(root: Any, stop: frozenset[int] = frozenset()) -> list[Any]:
    """Every node that `root` depends on, `root` first, each before its parents.

    Depth first with a stack of our own: Python's recursion limit of 1,000 would end a chain of 1,001
    operations, and training graphs are longer.

    Args:
        root: the node (or leaf tensor) to start at.
        stop: identities of nodes whose parents are not visited.

    Returns:
        Nodes and leaf tensors.

    Cost: O(nodes + edges).
    """
    order: list[Any] = []
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        stack.append((node, True))
        if isinstance(node, Function) and id(node) not in stop:
            if node.parents is None:
                raise RuntimeError(
                    "this graph was released by an earlier backward(); to go through it twice, call "
                    "backward(retain_graph=True) the first time"
                )
            # Reversed, so that the first parent is visited first and comes last in the order: the parameters of a
            # layer (later parents) stand right behind it, and their gradients are ready early in the walk.
            for parent in reversed(node.parents):
                if parent is not None and id(parent) not in seen:
                    stack.append((parent, False))
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
    wanted = {id(t.grad_fn or t) for t in inputs} if inputs is not None else set()
    found: dict[int, Any] = {}
    pending: dict[int, Any] = {id(start): grad}  # gradient collected so far, by node
    order = topological_order(start, stop=frozenset(wanted) if stop else frozenset())
    watcher = _watcher.get()
    with set_grad_enabled(create_graph):
        for node in order:
            gradient = pending.pop(id(node), None)
            if gradient is None:  # every path to this node passed through an input that needs no gradient
                continue
            if node.hooks and not (stop and id(node) in wanted):  # an inner walk ends before its inputs' hooks
                gradient = _through_hooks(node.hooks, gradient)
            if id(node) in wanted:
                found[id(node)] = gradient
                if stop:
                    continue
            if not isinstance(node, Function):
                if inputs is None:
                    node.accumulate_grad(gradient)
                continue
            assert node.parents is not None
            if watcher is None:
                shares = node.pull(gradient, create_graph)
            else:
                shares = watcher.backward(node, gradient, create_graph)
            if type(shares) is not tuple or len(shares) != len(node.parents):
                got = f"{len(shares)} values" if type(shares) is tuple else type(shares).__name__
                raise TypeError(
                    f"{type(node).__name__}.backward must return a tuple of {len(node.parents)}, one gradient (or "
                    f"None) per input, got {got}"
                )
            for parent, share in zip(node.parents, shares, strict=True):
                if parent is None or share is None:
                    continue
                key = id(parent)
                # A sum and never `+=`: two parents may have been handed the same array.
                pending[key] = pending[key] + share if key in pending else share
            if not retain_graph:
                node.release()
    return [found.get(id(t.grad_fn or t)) for t in inputs] if inputs is not None else []


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
        if tensor.shape != () and tensor.numel() != 1:
            raise RuntimeError(
                f"backward() on a tensor of shape {tensor.shape} needs a gradient of that shape; only a scalar "
                "has an obvious one (1)"
            )
        ones: Array = np.ones_like(tensor.data)
        return Function.tensor_type.wrap(ones) if as_tensor else ones
    data = gradient.data if isinstance(gradient, Function.tensor_type) else np.asarray(gradient, tensor.dtype)
    if data.shape != tensor.shape:
        raise ValueError(f"gradient has shape {data.shape}, the tensor has {tensor.shape}; they must be equal")
    if as_tensor:
        return gradient if isinstance(gradient, Function.tensor_type) else Function.tensor_type.wrap(data)
    return data
