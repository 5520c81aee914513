"""`minigrad profile`: where a model's time and memory go on this machine, as tables and pictures."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.nn import Module
    from minigrad.profile import BatchSizeRow, Bottleneck, Machine, profile

HELP = """\
Show where a model's time and memory go on this machine: by operation, by layer, against the machine's limits.

The model runs forward and backward on random data. The limits are measured too: a large matrix product and a
large copy. A busy machine gives poor numbers; take them from a quiet one.

of roof: the least time that the machine's two limits allow, in parts of the time taken. MB kept: memory in use after
the operation that was not before. MB temp: what it needed beyond that while it ran.
"""
EXAMPLES = """\
examples:
  minigrad profile                                 a small GPT
  minigrad profile --model mlp --batch-size 256
  minigrad profile --width 256 --layers 2 --threads 2

written to --out: roofline.png, trace.json (for https://ui.perfetto.dev), ops.csv, batch-size.png, batch-size.csv,
activations.png, activations.csv
"""
MODELS = ("gpt", "mlp")
VOCABULARY = 96
MLP_INPUTS, MLP_CLASSES = 784, 10
POOL = 2048  # random examples, from which batches are drawn
TABLE_ROWS = 14


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad profile` takes."""
    parser.epilog = EXAMPLES
    parser.add_argument("--model", default="gpt", help="what to profile: gpt or mlp (gpt)")
    parser.add_argument("--batch-size", type=int, default=8, help="examples in a step (8)")
    parser.add_argument("--block-size", type=int, default=128, help="tokens in an example, gpt only (128)")
    parser.add_argument("--layers", type=int, default=4, help="transformer blocks, or hidden layers (4)")
    parser.add_argument("--heads", type=int, default=4, help="attention heads, gpt only (4)")
    parser.add_argument("--width", type=int, default=128, help="channels (128)")
    parser.add_argument("--steps", type=int, default=3, help="steps to record (3)")
    parser.add_argument("--threads", type=int, default=1, help="threads for BLAS; NumPy's other work has one (1)")
    parser.add_argument("--out", default="runs/profile", metavar="DIR", help="folder for the results (runs/profile)")


def run(args: argparse.Namespace) -> int:
    """Measure, print, draw.

    Raises:
        ValueError: an argument that names nothing we have, or numbers that do not fit.
        OSError: a folder that cannot be made.
    """
    from threadpoolctl import threadpool_limits

    from minigrad.profile import find_bottleneck, measure_machine

    check(args)
    folder = writable_folder(args.out)
    with threadpool_limits(limits=args.threads):
        model, make_step = workload(args)
        load_seconds, found, memory = record(args, model, make_step)
        machine = measure_machine()
        sizes = sorted({2**power for power in range(20) if 2**power <= args.batch_size} | {args.batch_size})
        sweep = measure_batch_sizes(make_step, sizes)
        parameters = sum(parameter.data.nbytes for parameter in model.parameters())
        bottleneck = find_bottleneck(
            found,
            machine,
            load_seconds=load_seconds,
            memory=memory.peak_memory + parameters,
            memory_limit=physical_memory(),
        )
        show_summary(args, model, machine, found, memory)
        show_operations(found, memory, machine, args.steps)
        show_layers(found, memory, args.steps)
        show_batch_sizes(sweep)
        show_bottleneck(bottleneck)
        write_results(folder, args, found, memory, machine, sweep)
    return 0


def check(args: argparse.Namespace) -> None:
    """Refuse bad arguments before anything is measured or written.

    Raises:
        ValueError: naming the argument.
    """
    if args.model not in MODELS:
        raise ValueError(f"--model {args.model} is not known; choose from: {', '.join(MODELS)}")
    for name in ("batch_size", "block_size", "layers", "heads", "width", "steps", "threads"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} must be at least 1")
    if args.model == "gpt" and args.width % args.heads:
        raise ValueError(f"--width {args.width} must be divisible by --heads {args.heads}")


def writable_folder(path: str) -> Path:
    """Make the folder, or say why it cannot be written to."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--out {folder} must be a folder, it is a file")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"--out {folder} must be a folder one may write to, it is not")
    return folder


# ------------------------------------------------------------------------------------------------------ measuring

Step = Callable[[], float]  # one forward and backward; returns the seconds it took to fetch its batch


def workload(args: argparse.Namespace) -> tuple[Module, Callable[[int], Step]]:
    """The model, and a function from a batch size to a step on examples drawn from a pool in memory."""
    import numpy as np

    from minigrad.nn import GPT, MLP, GPTConfig
    from minigrad.nn import functional as F
    from minigrad.tensor import Tensor

    rng = np.random.default_rng(0)
    if args.model == "gpt":
        shape = GPTConfig(VOCABULARY, args.block_size, args.layers, args.heads, args.width)
        gpt = GPT(shape, rng=rng)
        windows = rng.integers(0, VOCABULARY, (POOL, args.block_size + 1))

        def gpt_step(batch_size: int) -> float:
            start = time.perf_counter()
            tokens = windows[rng.integers(0, POOL, batch_size)]
            loaded = time.perf_counter() - start
            gpt.zero_grad()
            gpt.loss(tokens[:, :-1], tokens[:, 1:]).backward()
            return loaded

        return gpt, lambda batch_size: lambda: gpt_step(batch_size)
    mlp = MLP([MLP_INPUTS, *[args.width] * args.layers, MLP_CLASSES], rng=rng)
    images, labels = rng.standard_normal((POOL, MLP_INPUTS), dtype=np.float32), rng.integers(0, MLP_CLASSES, POOL)

    def mlp_step(batch_size: int) -> float:
        start = time.perf_counter()
        drawn = rng.integers(0, POOL, batch_size)
        x, targets = Tensor(images[drawn]), labels[drawn]
        loaded = time.perf_counter() - start
        mlp.zero_grad()
        F.cross_entropy(mlp(x), targets).backward()
        return loaded

    return mlp, lambda batch_size: lambda: mlp_step(batch_size)


def record(
    args: argparse.Namespace, model: Module, make_step: Callable[[int], Step]
) -> tuple[float, profile, profile]:
    """(seconds spent fetching batches, profile of time over --steps steps, profile of memory of one step)."""
    from minigrad.profile import profile

    step = make_step(args.batch_size)
    step()  # allocations and caches settle
    with profile(model) as found:
        load_seconds = sum(step() for _ in range(args.steps))
    found.seconds -= load_seconds  # the block held it, and it is no operation: it would pass for the engine's
    with profile(model, memory=True) as memory:
        step()
    return load_seconds, found, memory


def measure_batch_sizes(make_step: Callable[[int], Step], sizes: list[int]) -> list[BatchSizeRow]:
    """The sweep, behind a progress bar where there is a terminal."""
    from rich.console import Console
    from rich.progress import track

    from minigrad.profile import sweep_batch_sizes

    console = Console(stderr=True)
    steps = track(sizes, "batch sizes", console=console, transient=True, disable=not console.is_terminal)
    return sweep_batch_sizes(make_step, steps)


def physical_memory() -> int:
    """Bytes of memory in this machine, 0 if it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 0


# -------------------------------------------------------------------------------------------------------- showing


def show_summary(
    args: argparse.Namespace, model: Module, machine: Machine, found: profile, memory: profile
) -> None:
    """What ran, where, and what it took in all."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    flops = sum(call.flops for call in found.calls) / args.steps
    seconds = found.seconds / args.steps
    size = f"{args.batch_size} x {args.block_size} tokens" if args.model == "gpt" else f"{args.batch_size} examples"
    print(
        f"{args.model} of {parameters:,} parameters, batch of {size}, float32, {args.threads} BLAS "
        f"thread{'s' * (args.threads > 1)}\n"
        f"machine: matrix product {machine.flops / 1e9:.1f} GFLOP/s, copy {machine.bandwidth / 1e9:.1f} GB/s, ridge "
        f"{machine.ridge:.1f} FLOP/byte\n"
        f"a step: {seconds * 1e3:.1f} ms, {flops / 1e9:.3f} GFLOP, {flops / seconds / 1e9:.1f} GFLOP/s "
        f"({flops / seconds / machine.flops:.0%} of the matrix product's), at most {memory.peak_memory / 1e6:.1f} MB "
        "allocated at once"
    )
    if found.uncounted:
        print(f"FLOPs not counted for: {', '.join(sorted(found.uncounted))}")


def print_table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table whose first column is text and whose others are numbers."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to fit: nothing is cut off
        console = Console(width=120)
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row, *[""] * (len(columns) - len(row)))
    print(f"\n{title}", flush=True)
    console.print(table, highlight=False)


def show_operations(found: profile, memory: profile, machine: Machine, steps: int) -> None:
    """The table by operation, per step."""
    kept = {row.name: row for row in memory.by_op()}
    rows: list[tuple[str, ...]] = [
        (
            row.name,
            f"{row.seconds / steps * 1e3:.2f}",
            f"{row.seconds / found.seconds:.1%}",
            f"{row.flops_per_second / 1e9:.1f}",
            f"{machine.least_seconds(row.flops, row.bytes) / row.seconds:.0%}",
            f"{kept[row.name].kept / 1e6:+.2f}" if row.name in kept else "",
            f"{kept[row.name].temporary / 1e6:.2f}" if row.name in kept else "",
        )
        for row in found.by_op()[:TABLE_ROWS]
    ]
    between = found.outside / found.seconds
    rows.append(("(between operations)", f"{found.outside / steps * 1e3:.2f}", f"{between:.1%}"))
    columns = ("operation", "ms", "share", "GFLOP/s", "of roof", "MB kept", "MB temp")  # 80 characters in all
    print_table("one step, by operation", columns, rows)


def show_layers(found: profile, memory: profile, steps: int) -> None:
    """The table by layer, per step, blocks as a whole."""
    kept = {row.name: row for row in memory.by_layer(2)}
    rows = [
        (
            row.name,
            f"{row.calls // steps}",
            f"{row.seconds / steps * 1e3:.2f}",
            f"{row.seconds / found.seconds:.1%}",
            f"{row.flops / steps / 1e6:.1f}",
            f"{row.bytes / steps / 1e6:.2f}",
            f"{kept[row.name].kept / 1e6:+.2f}" if row.name in kept else "",
        )
        for row in found.by_layer(2)[:TABLE_ROWS]
    ]
    print_table("one step, by layer", ("layer", "calls", "ms", "share", "MFLOP", "MB moved", "MB kept"), rows)


def show_batch_sizes(sweep: list[BatchSizeRow]) -> None:
    """The table of the sweep."""
    rows = [
        (f"{row.batch_size}", f"{row.seconds * 1e3:.2f}", f"{row.throughput:,.1f}", f"{row.memory / 1e6:.1f}")
        for row in sweep
    ]
    print_table("by batch size", ("batch", "ms", "examples/s", "peak MB"), rows)


def show_bottleneck(bottleneck: Bottleneck) -> None:
    """The shares and the sentence."""
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in bottleneck.shares.items())
    print(f"\ntime: {shares}\n{bottleneck}")


# -------------------------------------------------------------------------------------------------------- writing


def write_results(
    folder: Path,
    args: argparse.Namespace,
    found: profile,
    memory: profile,
    machine: Machine,
    sweep: list[BatchSizeRow],
) -> None:
    """Pictures, tables and the trace."""
    import numpy as np

    from minigrad.profile import activation_times, plots
    from minigrad.profile.activations import write_csv
    from minigrad.trace import save_chrome_trace

    what = f"{args.model}, batch of {args.batch_size}"
    plots.roofline(found.by_op(), machine, folder / "roofline.png", title=f"Roofline of this machine: {what}")
    save_chrome_trace(found.spans(), folder / "trace.json")
    write_rows(folder / "ops.csv", found, memory, args.steps)
    unit = "sequences" if args.model == "gpt" else "examples"
    if len(sweep) > 1:
        plots.batch_size(sweep, folder / "batch-size.png", title=f"{args.model}, width {args.width}", unit=unit)
    write_sweep(folder / "batch-size.csv", sweep)
    times = activation_times(np.random.default_rng(0))
    plots.activations(times, folder / "activations.png", machine=machine)
    write_csv(times, folder / "activations.csv")
    rows = [(row.name, f"{row.forward * 1e9:.2f}", f"{row.backward * 1e9:.2f}") for row in times]
    print_table("activation functions, ns per element", ("function", "forward", "backward"), rows)
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".png", ".csv", ".json"))
    print(f"\nwritten to {folder}/: {', '.join(names)}", flush=True)


def write_table(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """A CSV file."""
    import csv

    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_rows(path: Path, found: profile, memory: profile, steps: int) -> None:
    """One row an operation and direction, sums over one step."""
    kept = {row.name: row for row in memory.by_op()}
    rows: list[list[Any]] = []
    for row in found.by_op():
        memories = [kept[row.name].kept, kept[row.name].temporary] if row.name in kept else ["", ""]
        cost = [row.flops // steps, row.bytes // steps]
        rows.append([row.name, row.calls // steps, f"{row.seconds / steps:.9f}", *cost, *memories])
    write_table(path, ["operation", "calls", "seconds", "flops", "bytes", "bytes_kept", "bytes_temporary"], rows)


def write_sweep(path: Path, sweep: list[BatchSizeRow]) -> None:
    """One row a batch size."""
    rows = [[row.batch_size, f"{row.seconds:.9f}", f"{row.throughput:.3f}", row.memory] for row in sweep]
    write_table(path, ["batch_size", "seconds", "examples_per_second", "peak_bytes"], rows)
