"""Module and Parameter: how a model names its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.device import DEVICES, Array, moved
from minigrad.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a model trains: it requires a gradient and is found by `Module.parameters()`."""

    __slots__ = ()

    def __init__(self, data: Any, dtype: DTypeLike | None = None) -> None:
        super().__init__(data, requires_grad=True, dtype=dtype)


class Module:
    """A part of a model: parameters, smaller modules, and a `forward`.

    Assigning a Parameter, a Module or a list of Modules to an attribute is all the registration there is: the
    walks below read the attributes in the order in which they were assigned.
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for each direct part; members of a list are named `list.0`, `list.1`, ..."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list | tuple):
                for position, member in enumerate(value):
                    if isinstance(member, Module):
                        yield f"{name}.{position}", member

    def modules(self) -> Iterator[Module]:
        """This module and every part of it."""
        yield self
        for _, child in self.named_children():
            yield from child.modules()

    def named_parameters(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter); one that is tied to several places appears once, under its first name."""
        seen: set[int] = set()
        for name, parameter in self._walk_parameters(prefix):
            if id(parameter) not in seen or not remove_duplicate:
                seen.add(id(parameter))
                yield name, parameter

    def _walk_parameters(self, prefix: str) -> Iterator[tuple[str, Parameter]]:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, child in self.named_children():
            yield from child._walk_parameters(f"{prefix}{name}.")

    def register_buffer(self, name: str, array: Array) -> None:
        """Keep an array that is not trained but belongs to the state: a running mean, for example.

        It is an ordinary attribute; what writes it writes in place.
        """
        setattr(self, name, array)
        self.__dict__.setdefault("_buffer_names", []).append(name)

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """(dotted name, array) of every buffer."""
        for name in self.__dict__.get("_buffer_names", ()):
            yield prefix + name, getattr(self, name)
        for name, child in self.named_children():
            yield from child.named_buffers(f"{prefix}{name}.")

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter once."""
        for _, parameter in self.named_parameters():
            yield parameter

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation behaviour inside the `with` block; afterwards every part has the mode it had before."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode

    def train(self, mode: bool = True) -> Module:
        """Switch training behaviour (dropout) on or off, in every part."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch training behaviour off."""
        return self.train(False)

    def to(self, dtype: DTypeLike) -> Module:
        """Convert every parameter to another floating dtype, or move all to a device, in place.

        Args:
            dtype: a floating dtype; or "cpu" or "cuda", which moves buffers of any dtype too.
        """
        if isinstance(dtype, str) and dtype in DEVICES:
            return self._move(dtype)
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(np.dtype(dtype))
            parameter.grad = None
        for module in self.modules():
            for name in module.__dict__.get("_buffer_names", ()):
                buffer = getattr(module, name)
                if buffer.dtype.kind == "f":
                    setattr(module, name, buffer.astype(np.dtype(dtype)))
        return self

    def _move(self, device: str) -> Module:
        for parameter in self.parameters():
            parameter.data = moved(parameter.data, device)
            parameter.grad = None
        for module in self.modules():
            for name in module.__dict__.get("_buffer_names", ()):
                setattr(module, name, moved(getattr(module, name), device))
        return self

    def state_dict(self) -> dict[str, Array]:
        """Name to array: parameters (tied ones under each of their names) and buffers; the model's own memory."""
        return {name: p.data for name, p in self.named_parameters(remove_duplicate=False)} | dict(self.named_buffers())

    def load_state_dict(self, state: dict[str, Array]) -> None:
        """Copy arrays into the parameters and buffers. Everything is checked before anything is changed.

        Raises:
            ValueError: missing or unexpected names, or a shape or dtype that differs.
        """
        own = self.state_dict()
        if missing := sorted(own.keys() - state.keys()):
            raise ValueError(f"state has no entry for {missing[0]!r} ({len(missing)} missing in all)")
        if unexpected := sorted(state.keys() - own.keys()):
            raise ValueError(f"state has {unexpected[0]!r}, the model has not ({len(unexpected)} too many)")
        for name, array in own.items():
            if state[name].shape != array.shape:
                raise ValueError(f"{name!r} has shape {state[name].shape}, the model's is {array.shape}")
            if state[name].dtype != array.dtype:
                raise ValueError(f"{name!r} has dtype {state[name].dtype}, the model's is {array.dtype}")
        for name, array in own.items():
            array[...] = state[name]
        for parameter in self.parameters():
            parameter.version[0] += 1

    def parameter_table(self) -> str:
        """Every parameter's name, shape and size, and the sum, as text."""
        rows = [(name, str(p.shape), f"{p.numel():,}") for name, p in self.named_parameters()]
        rows.append(("total", "", f"{sum(p.numel() for p in self.parameters()):,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)

    def __repr__(self) -> str:
        parts = [f"  {name}: {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        inside = ("\n" + "\n".join(parts) + "\n") if parts else self.extra_repr()
        return f"{type(self).__name__}({inside})"

    def extra_repr(self) -> str:
        """What stands between the parentheses of a module without parts."""
        return ""
