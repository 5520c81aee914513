"""What surrounds an operation: whether it leaves a graph behind, and who looks on.

Both stand in one ContextVar, so that an operation asks once. It is no module global: threads and simulated ranks each
have their own mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from minigrad.function import Function

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


# (whether a graph is recorded, the innermost watcher). A plain tuple: nothing is quicker to make or to take apart.
current_mode: ContextVar[tuple[bool, Watcher | None]] = ContextVar("mode", default=(True, None))


def is_grad_enabled() -> bool:
    """Whether operations record a graph at this moment."""
    return current_mode.get()[0]


def is_watched() -> bool:
    """Whether a Watcher looks on at this moment."""
    return current_mode.get()[1] is not None


class set_grad_enabled:  # PyTorch's name
    """Record a graph (True) or not (False) inside the `with` block or the decorated function.

    >>> import minigrad as mg
    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._before: list[bool] = []  # a list, since one object may be entered again inside itself

    def __enter__(self) -> None:
        recording, watcher = current_mode.get()
        self._before.append(recording)
        current_mode.set((self.mode, watcher))

    def __exit__(self, *details: object) -> None:
        _, watcher = current_mode.get()
        current_mode.set((self._before.pop(), watcher))

    def __call__(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Decorate a function; each of its calls enters an object of its own, so threads do not meet in one."""

        @functools.wraps(function)
        def inside(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            with set_grad_enabled(self.mode):
                return function(*args, **kwargs)

        return inside


def no_grad() -> set_grad_enabled:
    """Inside `with no_grad():` (or under `@no_grad()`) operations leave no graph and keep nothing alive."""
    return set_grad_enabled(False)


class Watcher:
    """Looks on while operations run: the base of the profiler and of anomaly detection.

    Inside `with watcher:` every operation and every step of a walk is handed to it, to be run by
    `super().forward(...)` and `super().backward(...)`. Watchers nest; each passes on to the one around it.
    """

    _watching = False

    def __enter__(self) -> Any:
        if self._watching:
            raise RuntimeError(f"this {type(self).__name__} is watching already; make another one")
        self._watching = True
        recording, self.outer = current_mode.get()
        current_mode.set((recording, self))
        return self

    def __exit__(self, *details: object) -> None:
        current_mode.set((is_grad_enabled(), self.outer))
        self._watching = False

    def forward(self, op: type[Function], inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run one operation; returns its output tensor."""
        if self.outer:
            return self.outer.forward(op, inputs, params)
        return op.compute(inputs, params, is_grad_enabled())

    def backward(self, node: Function, gradient: Any, create_graph: bool) -> tuple[Any, ...]:
        """Run one node's rule; returns the gradients of its inputs."""
        if self.outer:
            return self.outer.backward(node, gradient, create_graph)
        return node.pull(gradient, create_graph)
