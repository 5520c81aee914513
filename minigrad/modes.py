"""What surrounds an operation: whether it leaves a graph behind, and who looks on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.function import Function

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
