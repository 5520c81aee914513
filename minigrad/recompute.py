"""Activation recomputation: keep what went into a part of the model, compute its inside a second time.

The backward needs the activations that the forward made, and a deep model holds all of them until then. A part
called through `recompute` keeps its inputs only; when the backward arrives, it runs its forward again, with a
graph this time, and goes back through that. Memory is bought with one more forward, about a third more time.

Cut n equal blocks into k segments: k inputs are held, and while the backward is inside one segment, its n/k blocks.
The sum k + n/k is smallest at k = sqrt(n), where it is 2 sqrt(n): 16 instead of 64.

Source: Chen, Xu, Zhang and Guestrin, Training Deep Nets with Sublinear Memory Cost, 2016.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigrad import autograd
from minigrad.autograd import Function, Fused
from minigrad.device import Array
from minigrad.nn import Module, Sequential
from minigrad.randomness import State, generators_of, replayed, states_of
from minigrad.tensor import Tensor

WITNESSES = 64  # elements of the output that a recomputation is held against


class Slot(NamedTuple):
    """Stands in the remembered arguments for the tensor with this number."""

    number: int


@dataclass
class Call:
    """A function call that can be repeated: everything about it but its tensors.

    Attributes:
        function: what is called.
        arguments, keywords: its arguments, a Slot in the place of each tensor.
        slots: number of tensors among them.
        generators, states: what it draws from, and where that stood.
        context: the modes (autocast, for one) in which it was called.
        witness: a few elements of the first result.
    """

    function: Callable[..., Any]
    arguments: list[Any]
    keywords: dict[str, Any]
    slots: int
    generators: list[np.random.Generator]
    states: list[State]
    context: contextvars.Context
    witness: Array | None = None

    def first(self, tensors: Sequence[Tensor]) -> Tensor:
        """Run without a graph."""
        with autograd.no_grad():
            output = self._run(tensors)
        self.witness = _sample(output.data)
        return output

    def again(self, tensors: Sequence[Tensor]) -> Tensor:
        """Run with a graph, in the modes and with the random numbers of the first time."""
        with replayed(self.generators, self.states):
            output: Tensor = self.context.run(self._run, tensors)
        assert self.witness is not None
        # Not to the bit: BLAS may have been given another number of threads since.
        size = float(np.abs(self.witness).max(initial=0.0))
        if not np.allclose(_sample(output.data), self.witness, rtol=1e-3, atol=1e-5 * size, equal_nan=True):
            raise RuntimeError(
                "recomputing gave another output than the first time: the function draws from a generator that "
                "recompute does not know (name it in generators=) or depends on something that changed since"
            )
        return output

    def _run(self, tensors: Sequence[Tensor]) -> Tensor:
        arguments = [tensors[value.number] if isinstance(value, Slot) else value for value in self.arguments]
        keywords = {k: tensors[v.number] if isinstance(v, Slot) else v for k, v in self.keywords.items()}
        output = self.function(*arguments, **keywords)
        if not isinstance(output, Tensor):
            raise TypeError(f"recompute needs a function that returns one tensor, got {type(output).__name__}")
        return output


class Recompute(Fused):
    """A call as one node of the graph: it keeps its inputs, and its composite is the call itself."""

    def forward(self, *arrays: Array, call: Call) -> Array:
        """The first run."""
        return call.first([Tensor.wrap(array) for array in arrays[: call.slots]]).data

    def backward(self, grad: Any, *arrays: Any) -> tuple[Any, ...]:
        """Run again with a graph that begins at copies of the inputs, and go back through it."""
        call: Call = self.params["call"]
        copies = [Tensor(array, need) for array, need in zip(arrays[: call.slots], self.needs, strict=False)]
        inputs = [*copies, *self.kept_inputs[call.slots :]]  # the parameters are in the module, and stay themselves
        output = call.again(copies)
        if not output.requires_grad:
            return (None,) * len(inputs)
        _refuse_hidden_inputs(output, inputs)
        wanted = [tensor for tensor, need in zip(inputs, self.needs, strict=True) if need]
        found = iter(autograd.grad(output, wanted, Tensor.wrap(grad), allow_unused=True))
        gradients = [next(found) if need else None for need in self.needs]
        return tuple(None if gradient is None else gradient.data for gradient in gradients)

    @staticmethod
    def composite(*inputs: Any, call: Call) -> Any:
        """For gradients of gradients: the second run begins at the inputs themselves."""
        output = call.again(inputs[: call.slots])
        _refuse_hidden_inputs(output, inputs)
        return output


def recompute(
    function: Callable[..., Any], *args: Any, generators: Sequence[np.random.Generator] = (), **kwargs: Any
) -> Tensor:
    """Call `function(*args, **kwargs)`, keep its inputs only, and compute its inside again in the backward.

    Args:
        function: a Module or a method of one, whose parameters then get their gradients; or a function whose
            tensors are all among its arguments. Calls of recompute inside it are fine.
        args, kwargs: passed on. Generators among them are replayed.
        generators: others that the function draws from, besides those of the module.
        kwargs: passed on.

    Returns:
        What the function returns: one tensor.

    Raises:
        TypeError: the function returns something else.
        RuntimeError: in the backward, if the second run gives another output, or if the function reaches a tensor
            that needs a gradient and is neither an argument nor a parameter of the module.

    Cost: one more forward of the function, in the backward. Keeps the inputs instead of the activations.

    Source: Chen and others, Training Deep Nets with Sublinear Memory Cost, 2016, section 4.

    >>> x = Tensor([0.5], requires_grad=True)
    >>> recompute(lambda x: x.exp().exp(), x).backward()
    >>> x.grad.item() == float(np.exp(np.exp(np.float32(0.5))) * np.exp(np.float32(0.5)))
    True
    """
    module = function if isinstance(function, Module) else getattr(function, "__self__", None)
    tensors: list[Tensor] = []
    arguments = [_slot(value, tensors) for value in args]
    keywords = {name: _slot(value, tensors) for name, value in kwargs.items()}
    known = [*generators, *(value for value in [*args, *kwargs.values()] if isinstance(value, np.random.Generator))]
    inputs = list(tensors)
    if isinstance(module, Module):
        known += generators_of(module)
        among = {id(tensor) for tensor in tensors}
        inputs += [p for p in module.parameters() if p.requires_grad and id(p) not in among]
    if not autograd.is_grad_enabled() or not any(tensor.requires_grad for tensor in inputs):
        output: Tensor = function(*args, **kwargs)
        return output
    unique = list({id(generator): generator for generator in known}.values())
    context = contextvars.copy_context()
    call = Call(function, arguments, keywords, len(tensors), unique, states_of(unique), context)
    return Recompute.apply(*inputs, call=call)


def recompute_sequential(layers: Sequence[Module], segments: int, x: Tensor) -> Tensor:
    """Send x through the layers, cut into `segments` runs of (nearly) equal length that are each recomputed.

    Args:
        layers: modules of one input and one output.
        segments: from 1 to the number of layers; the square root of that number needs the least memory.
        x: input of the first.

    Raises:
        ValueError: segments outside [1, number of layers].
    """
    if not 1 <= segments <= len(layers):
        raise ValueError(f"segments={segments} must lie in [1, {len(layers)}], the number of layers")
    cuts = [len(layers) * position // segments for position in range(segments + 1)]
    for start, stop in pairwise(cuts):
        x = recompute(Sequential(*layers[start:stop]), x)
    return x


def recompute_calls(module: Module) -> Module:
    """From now on every call of this module is recomputed in the backward; names of parameters stay.

    >>> block = recompute_calls(Module())
    """
    vars(module)["forward"] = partial(recompute, module.forward)  # found before the class's own
    return module


def _slot(value: Any, tensors: list[Tensor]) -> Any:
    """The tensor's number in the list, where it is entered once however often it is passed."""
    if not isinstance(value, Tensor):
        return value
    for number, known in enumerate(tensors):
        if known is value:
            return Slot(number)
    tensors.append(value)
    return Slot(len(tensors) - 1)


def _refuse_hidden_inputs(output: Tensor, inputs: Sequence[Tensor]) -> None:
    """A tensor that the function closes over would get no gradient, silently."""
    starts = {id(tensor.grad_fn or tensor) for tensor in inputs}
    for node in autograd.topological_order(output.grad_fn or output, stop=frozenset(starts)):
        if not isinstance(node, Function) and id(node) not in starts:
            raise RuntimeError(
                f"the function given to recompute uses a tensor of shape {node.shape} that requires a gradient and "
                "is neither an argument nor a parameter of the module; pass it as an argument"
            )


def _sample(array: Array) -> Array:
    return array.reshape(-1)[:: max(1, array.size // WITNESSES)].copy()
