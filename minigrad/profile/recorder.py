"""The recorder: what every operation of a `with profile():` block took, forward and backward."""

from __future__ import annotations

import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from minigrad.autograd import Function, Watcher
from minigrad.nn import Module
from minigrad.profile.costs import backward_bytes, backward_flops, forward_bytes, forward_flops
from minigrad.tensor import Tensor
from minigrad.trace import Span

NO_LAYER = "(no layer)"

Cost = tuple[tuple[int, ...], int | None, int]  # shape of the result, FLOPs (None: not known), bytes


@dataclass(frozen=True)
class OpCall:
    """One forward or backward of one operation.

    Attributes:
        op: name of the operation.
        phase: "forward" or "backward".
        layer: dotted name of the innermost module it ran in.
        shape: of the output, or of the gradient that came in.
        start, end: seconds since the beginning of the block.
        seconds: from start to end, without the operations that ran inside this one.
        flops: floating-point operations; 0 for an operation without a cost (see `profile.uncounted`).
        bytes: compulsory traffic, see `minigrad.profile.costs`.
        memory: bytes allocated when it began, since the beginning of the block; 0 without memory=True.
        kept: bytes allocated when it ended more than when it began.
        temporary: bytes that it needed in between beyond both.
    """

    op: str
    phase: str
    layer: str
    shape: tuple[int, ...]
    start: float
    end: float
    seconds: float
    flops: int
    bytes: int
    memory: int
    kept: int
    temporary: int

    @property
    def name(self) -> str:
        """`MatMul` or `MatMul backward`."""
        return self.op if self.phase == "forward" else f"{self.op} {self.phase}"


@dataclass(frozen=True)
class Row:
    """Several calls added up.

    Attributes:
        name: operation or layer.
        calls: how many.
        seconds, flops, bytes, kept: sums.
        temporary: the largest.
    """

    name: str
    calls: int
    seconds: float
    flops: int
    bytes: int
    kept: int
    temporary: int

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved; 0 if nothing was moved."""
        return self.flops / self.bytes if self.bytes else 0.0

    @property
    def flops_per_second(self) -> float:
        """FLOP/s reached."""
        return self.flops / self.seconds if self.seconds else 0.0


class profile(Watcher):  # PyTorch's name
    """Inside `with profile() as found:` record every operation, forward and backward.

    Args:
        model: attribute operations to its layers, by their dotted names.
        memory: measure memory too, through Python's tracemalloc, which NumPy reports its arrays to. That slows
            small operations, so measure time in one run and memory in another.

    Attributes:
        calls: a list of OpCall in the order in which they ended.
        layer_spans: one Span for each forward of a layer of the model.
        seconds: length of the block, without the recorder's own time.
        peak_memory: largest number of bytes allocated at once since the block began.
        uncounted: names of operations whose FLOPs are not known.

    On a GPU the times are those of the launches, since kernels run on after Python has gone ahead.
    """

    def __init__(self, model: Module | None = None, *, memory: bool = False) -> None:
        self.model = model
        self.memory = memory
        self.calls: list[OpCall] = []
        self.layer_spans: list[Span] = []
        self.uncounted: set[str] = set()
        self.seconds = 0.0
        self.peak_memory = 0
        self._layers: list[str] = [NO_LAYER]
        self._inside: list[float] = [0.0]  # for each open call: seconds spent in the calls within it
        self._peaks: list[int] = [0]  # for each open call: the highest memory seen
        self._own = 0.0  # the recorder's own seconds
        self._memory_at_start = 0
        self._wrapped: list[tuple[Module, Any]] = []

    def __enter__(self) -> profile:
        if self.seconds:
            raise RuntimeError("this profile is complete; record another block with a new profile()")
        for name, module in _named_modules(self.model) if self.model else ():
            self._wrap(name, module)
        self._stop_tracing = self.memory and not tracemalloc.is_tracing()
        if self._stop_tracing:
            tracemalloc.start()
        self._memory_at_start = self._traced()[0]
        super().__enter__()
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *details: object) -> None:
        self.seconds = time.perf_counter() - self._begun - self._own
        super().__exit__(*details)
        self.peak_memory = max(self.peak_memory, self._traced()[1])
        if self._stop_tracing:
            tracemalloc.stop()
        for module, own in self._wrapped:
            if own is None:
                del vars(module)["forward"]
            else:
                vars(module)["forward"] = own

    # -------------------------------------------------------------------------------------------- what is watched

    def forward(self, op: type[Function], inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run an operation and record it."""
        name, layer, unwatched = op.__name__, self._layers[-1], super().forward

        def run() -> Any:
            return unwatched(op, inputs, params)

        def cost(output: Tensor) -> Cost:
            node = output.grad_fn
            if node is not None and "layer_name" not in vars(node):
                vars(node)["layer_name"] = layer  # its backward will look here
            shapes = [tensor.shape for tensor in inputs]
            moved = forward_bytes(name, [tensor.data for tensor in inputs], output.data)
            return output.shape, forward_flops(name, shapes, output.shape, params), moved

        return self._record(name, "forward", layer, run, cost)

    def backward(self, node: Function, gradient: Any, create_graph: bool) -> tuple[Any, ...]:
        """Run a node's rule and record it, under the layer of its forward."""
        name, unwatched = type(node).__name__, super().backward

        def run() -> tuple[Any, ...]:
            return unwatched(node, gradient, create_graph)

        def cost(shares: tuple[Any, ...]) -> Cost:
            shapes = [tensor.shape for tensor in getattr(node, "kept_inputs", ())] or [gradient.shape]
            moved = backward_bytes(node, _array(gradient), [_array(share) for share in shares])
            return gradient.shape, backward_flops(name, shapes, gradient.shape, node.params, node.needs), moved

        found: tuple[Any, ...] = self._record(name, "backward", vars(node).get("layer_name", NO_LAYER), run, cost)
        return found

    def _record(
        self, op: str, phase: str, layer: str, run: Callable[[], Any], cost: Callable[[Any], Cost]
    ) -> Any:
        """Run, and write down what it took. Calls nest: a rule may run operations of its own."""
        entered = time.perf_counter()
        before = self._open()
        start = time.perf_counter()
        try:
            result = run()
        finally:
            end = time.perf_counter()
            after, peak, nested = self._close()
        shape, flops, moved = cost(result)
        if flops is None:
            self.uncounted.add(op)
        self.calls.append(
            OpCall(
                op=op,
                phase=phase,
                layer=layer,
                shape=shape,
                start=start - self._begun,
                end=end - self._begun,
                seconds=end - start - nested,
                flops=flops or 0,
                bytes=moved,
                memory=before,
                kept=after - before,
                temporary=peak - max(before, after),
            )
        )
        left = time.perf_counter()
        self._inside[-1] += left - entered
        self._own += (left - entered) - (end - start)
        return result

    def _open(self) -> int:
        """Begin a call: returns the bytes allocated now."""
        now, peak = self._traced()
        self._peaks[-1] = max(self._peaks[-1], peak)
        self.peak_memory = max(self.peak_memory, peak)
        self._inside.append(0.0)
        self._peaks.append(now)
        if self.memory:
            tracemalloc.reset_peak()
        return now

    def _close(self) -> tuple[int, int, float]:
        """End a call: (bytes allocated now, the most since it began, seconds in the calls within it)."""
        now, peak = self._traced()
        peak = max(peak, self._peaks.pop())
        self._peaks[-1] = max(self._peaks[-1], peak)
        self.peak_memory = max(self.peak_memory, peak)
        return now, peak, self._inside.pop()

    def _traced(self) -> tuple[int, int]:
        """(bytes allocated now, the most since the last reset), both since the block began."""
        if not self.memory:
            return 0, 0
        now, peak = tracemalloc.get_traced_memory()
        return now - self._memory_at_start, peak - self._memory_at_start

    def _wrap(self, name: str, module: Module) -> None:
        """Let a module say when it is running: this one object and not its class, so other models run as ever."""
        inner = module.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter() - self._begun
            self._layers.append(name)
            try:
                return inner(*args, **kwargs)
            finally:
                self._layers.pop()
                self.layer_spans.append(Span(0, 0, name, start, time.perf_counter() - self._begun, "layer"))

        self._wrapped.append((module, vars(module).get("forward")))
        vars(module)["forward"] = forward

    # ----------------------------------------------------------------------------------------- what was recorded

    @property
    def outside(self) -> float:
        """Seconds in which no operation ran: Python, the walk through the graph, adding up gradients."""
        return self.seconds - sum(call.seconds for call in self.calls)

    def by_op(self) -> list[Row]:
        """A row for each operation and direction, the longest first."""
        return _rows(self.calls, lambda call: call.name)

    def by_layer(self, depth: int | None = None) -> list[Row]:
        """A row for each layer, the longest first.

        Args:
            depth: cut names after this many parts: 2 makes `blocks.0.attention.qkv` a part of `blocks.0`.
        """
        return _rows(self.calls, lambda call: ".".join(call.layer.split(".")[:depth]))

    def spans(self) -> list[Span]:
        """Operations and layers as Spans, for `minigrad.trace.save_chrome_trace`; layers enclose their operations."""
        ops = [Span(0, 0, call.name, call.start, call.end, "compute", call.bytes) for call in self.calls]
        return sorted(self.layer_spans + ops, key=lambda span: (span.start, -span.end))


def _rows(calls: Iterable[OpCall], key: Callable[[OpCall], str]) -> list[Row]:
    groups: defaultdict[str, list[OpCall]] = defaultdict(list)
    for call in calls:
        groups[key(call)].append(call)
    rows = [
        Row(
            name=name,
            calls=len(group),
            seconds=sum(call.seconds for call in group),
            flops=sum(call.flops for call in group),
            bytes=sum(call.bytes for call in group),
            kept=sum(call.kept for call in group),
            temporary=max(call.temporary for call in group),
        )
        for name, group in groups.items()
    ]
    return sorted(rows, key=lambda row: -row.seconds)


def _named_modules(model: Module, name: str = "") -> Iterator[tuple[str, Module]]:
    """(dotted name, module) of the model and every part; the model itself goes by its class."""
    yield name or type(model).__name__, model
    for part, child in model.named_children():
        yield from _named_modules(child, f"{name}.{part}" if name else part)



def _array(x: Any) -> Any:
    """The numbers of an array or tensor."""
    return x.data if isinstance(x, Tensor) else x
