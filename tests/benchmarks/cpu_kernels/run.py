"""The CPU kernels beside PyTorch's and their own plain forms. Run: python tests/benchmarks/cpu_kernels/run.py."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad.allocation import keep_freed_memory
from minigrad.commands.kernels import blas_description
from minigrad.kernels import cpu, naive_cpu
from minigrad.kernels.threads import use_threads
from minigrad.optim import rules

# OpenMP's threads wait by spinning for some ms after each of PyTorch's calls, on the core that our second thread needs.
# It must be set before the library is loaded; whoever has set it otherwise is obeyed.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
try:
    import torch
except ImportError:  # the ratios to the plain forms can be had without
    torch = None  # type: ignore[assignment]

ROWS, COLUMNS = 1024, 1024
ADAMW = 1e-3, (0.9, 0.999), 1e-8, 0.01, 10
Call = Callable[[], Any]


class Row(NamedTuple):
    """One line of the table: the same work three times.

    Attributes:
        name: of the line.
        ours: calls the kernel.
        plain: calls its plain form; None where there is none.
        theirs: calls PyTorch's; None without PyTorch.
        most: the ratio to PyTorch's time that is aimed at, or None.
    """

    name: str
    ours: Call
    plain: Call | None
    theirs: Call | None
    most: float | None = None


def rows_to_measure(rows: int, columns: int) -> list[Row]:
    """All lines, on the same random numbers."""
    rng = np.random.default_rng(0)
    x, grad = rng.normal(size=(2, rows, columns)).astype(np.float32)
    weight, bias = rng.normal(size=(2, columns)).astype(np.float32)
    targets = rng.integers(0, columns, rows)
    per_row = np.full(rows, 1 / rows, np.float32)
    y = cpu.softmax_forward(x)
    log_sum = cpu.cross_entropy_forward(x, targets)[1]
    layer_kept, rms_kept = cpu.layer_norm_forward(x, weight, bias, 1e-5)[1:], cpu.rms_norm_forward(x, weight, 1e-5)[1:]
    theirs = torch_calls(x, grad, weight, bias, targets)
    state: rules.State = {}
    p, m, v = x.copy(), np.zeros_like(x), np.zeros_like(x)
    slope = cpu.gelu_forward_with_slope(x, "tanh")[1]
    assert slope is not None

    def both(form: str) -> Call:
        return lambda: cpu.gelu_backward_from_slope(grad, cpu.gelu_forward_with_slope(x, form)[1])  # type: ignore[arg-type]

    table = (
        ("gelu tanh, forward", lambda k: k.gelu_forward(x, "tanh"), 1.0),
        ("gelu tanh, backward", lambda k: k.gelu_backward(grad, x, "tanh"), 1.0),
        ("gelu exact, forward", lambda k: k.gelu_forward(x), None),
        ("gelu exact, backward", lambda k: k.gelu_backward(grad, x), None),
        ("softmax, forward", lambda k: k.softmax_forward(x), 1.2),
        ("softmax, backward", lambda k: k.softmax_backward(grad, y), 1.2),
        ("layer_norm, forward", lambda k: k.layer_norm_forward(x, weight, bias, 1e-5), 1.2),
        ("layer_norm, backward", lambda k: k.layer_norm_backward(grad, *layer_kept, weight), 1.2),
        ("rms_norm, forward", lambda k: k.rms_norm_forward(x, weight, 1e-5), None),
        ("rms_norm, backward", lambda k: k.rms_norm_backward(grad, *rms_kept, weight), None),
        ("cross-entropy, forward", lambda k: k.cross_entropy_forward(x, targets), None),
        ("cross-entropy, backward", lambda k: k.cross_entropy_backward(per_row, x, targets, log_sum), None),
    )
    lines = [
        Row(name, lambda call=call: call(cpu), lambda call=call: call(naive_cpu), theirs.get(name), most)
        for name, call, most in table
    ]
    more = (
        ("gelu tanh, both, slope kept", both("tanh"), None, 1.0),
        ("gelu tanh, backward from slope", lambda: cpu.gelu_backward_from_slope(grad, slope), None, 1.0),
        ("gelu exact, both, slope kept", both("none"), None, None),
        ("bias + gelu tanh, forward", lambda: cpu.bias_gelu_forward(x, bias),
         lambda: naive_cpu.gelu_forward(x + bias, "tanh"), None),
        ("dropout, forward", lambda: cpu.dropout(x, 0.1, 1, 2),
         lambda: x * ((rng.random(x.shape, np.float32) >= 0.1).astype(np.float32) * (1 / 0.9)), None),
        ("AdamW update", lambda: cpu.adamw_update(p, grad, m, v, *ADAMW),
         lambda: rules.adamw.__wrapped__(p, grad, state, ADAMW[0], ADAMW[4]), None),
        ("SGD update, momentum", lambda: cpu.sgd_update(p, grad, m, 1e-3, 0.9, 0.0),
         lambda: rules.sgd(p, grad, state, 1e-3, 1, momentum=0.9), None),
    )  # fmt: skip
    return lines + [Row(name, ours, plain, theirs.get(name), most) for name, ours, plain, most in more]


def torch_calls(x: Any, grad: Any, weight: Any, bias: Any, targets: Any) -> dict[str, Call]:
    """What PyTorch runs for the same line: the operators that its autograd calls, without the graph."""
    if torch is None:
        return {}
    aten, F = torch.ops.aten, torch.nn.functional
    x, grad, weight, bias, targets = map(torch.from_numpy, (x, grad, weight, bias, targets))
    shape, total = [x.shape[1]], torch.tensor(float(len(x)))
    y = F.softmax(x, -1)
    logs = F.log_softmax(x, -1)
    one = torch.tensor(1.0)
    mean, deviation = aten.native_layer_norm(x, shape, weight, bias, 1e-5)[1:]

    def cross_entropy_backward() -> Any:
        dlogs = aten.nll_loss_backward(one, logs, targets, None, 1, -100, total)
        return aten._log_softmax_backward_data(dlogs, logs, -1, x.dtype)

    def gelu_both(form: str) -> Call:
        return lambda: (F.gelu(x, approximate=form), aten.gelu_backward(grad, x, approximate=form))

    def with_graph(f: Callable[[Any], Any]) -> Call:
        """Backward only, through autograd, where PyTorch has no single operator for it."""
        leaf = x.clone().requires_grad_()
        scale = weight.clone().requires_grad_()
        out = f((leaf, scale))
        return lambda: torch.autograd.grad(out, (leaf, scale), grad, retain_graph=True)

    calls = {
        "gelu tanh, forward": lambda: F.gelu(x, approximate="tanh"),
        "gelu tanh, backward": lambda: aten.gelu_backward(grad, x, approximate="tanh"),
        "gelu tanh, backward from slope": lambda: aten.gelu_backward(grad, x, approximate="tanh"),
        "gelu tanh, both, slope kept": gelu_both("tanh"),
        "gelu exact, forward": lambda: F.gelu(x),
        "gelu exact, backward": lambda: aten.gelu_backward(grad, x),
        "gelu exact, both, slope kept": gelu_both("none"),
        "softmax, forward": lambda: F.softmax(x, -1),
        "softmax, backward": lambda: aten._softmax_backward_data(grad, y, -1, x.dtype),
        "layer_norm, forward": lambda: aten.native_layer_norm(x, shape, weight, bias, 1e-5),
        "layer_norm, backward": lambda: aten.native_layer_norm_backward(
            grad, x, shape, mean, deviation, weight, bias, [True, True, True]
        ),
        "rms_norm, forward": lambda: F.rms_norm(x, shape, weight, 1e-5),
        "rms_norm, backward": with_graph(lambda t: F.rms_norm(t[0], shape, t[1], 1e-5)),
        "cross-entropy, forward": lambda: F.cross_entropy(x, targets, reduction="none"),
        "cross-entropy, backward": cross_entropy_backward,
        "bias + gelu tanh, forward": lambda: F.gelu(x + bias, approximate="tanh"),
        "dropout, forward": lambda: F.dropout(x, 0.1),
    }
    return {**calls, **torch_updates(x, grad)}


def torch_updates(x: Any, grad: Any) -> dict[str, Call]:
    """The steps of PyTorch's optimizers, in their fused form."""
    found = {}
    for name, kind, settings in (
        ("AdamW update", torch.optim.AdamW, {"lr": 1e-3, "fused": True}),
        ("SGD update, momentum", torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9, "fused": True}),
    ):
        parameter = torch.nn.Parameter(x.clone())
        parameter.grad = grad
        found[name] = kind([parameter], **settings).step
    return found


def seconds(call: Call) -> float:
    """One call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(row: Row, pairs: int) -> tuple[list[float], list[float], list[float]]:
    """Times of ours, the plain form and PyTorch's, taken in turn so that all three see the same load."""
    calls = [call for call in (row.ours, row.plain, row.theirs) if call is not None]
    for call in calls:
        call()
        call()
    times: list[list[float]] = [[], [], []]
    for _ in range(pairs):
        for position, call in enumerate((row.ours, row.plain, row.theirs)):
            if call is not None:
                times[position].append(seconds(call))
    return times[0], times[1], times[2]


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Median of the pairs' ratios, with two digits."""
    return f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}" if theirs else "-"


def milliseconds(times: list[float]) -> str:
    """The median, and the fastest in brackets."""
    return f"{statistics.median(times) * 1e3:.2f} ({min(times) * 1e3:.2f})" if times else "-"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="of the kernels and of PyTorch (2)")
    parser.add_argument("--pairs", type=int, default=15, help="measurements of each (15), taken in turn")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of the arrays ({ROWS})")
    parser.add_argument("--columns", type=int, default=COLUMNS, help=f"of the arrays ({COLUMNS})")
    parser.add_argument("--only", default="", metavar="TEXT", help="lines whose name holds this text")
    arguments = parser.parse_args()
    keep_freed_memory()  # as `minigrad train` does; PyTorch's arrays come from the same heap
    if torch is not None:
        torch.set_num_threads(arguments.threads)
        torch.set_grad_enabled(True)
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {blas_description()}")
    print("PyTorch " + (f"{torch.__version__}, {torch.backends.cpu.get_cpu_capability()}" if torch else "is not here"))
    print(f"OMP_WAIT_POLICY={os.environ['OMP_WAIT_POLICY']}, freed memory kept by the process")
    size = f"{arguments.rows} x {arguments.columns}"
    print(f"{size} float32, {arguments.threads} threads, {arguments.pairs} pairs; ms: median (fastest)\n")
    print("| kernel | ms | plain NumPy, ms | PyTorch, ms | times plain | times PyTorch | fastest to fastest | aim |")
    print("|---|---|---|---|---|---|---|---|")
    with use_threads(arguments.threads):
        for row in rows_to_measure(arguments.rows, arguments.columns):
            if arguments.only not in row.name:
                continue
            ours, plain, theirs = measure(row, arguments.pairs)
            fastest = f"{min(ours) / min(theirs):.2f}" if theirs else "-"
            cells = (*map(milliseconds, (ours, plain, theirs)), ratio(ours, plain), ratio(ours, theirs), fastest)
            print(f"| {row.name} | {' | '.join(cells)} | {row.most or '-'} |", flush=True)


if __name__ == "__main__":
    main()
