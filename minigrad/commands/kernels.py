"""`minigrad kernels`: list the hand-written kernels, show one, run one without a GPU, measure."""

from __future__ import annotations

import argparse
import os
import re
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.kernels.emulate import EmulatedModule

HELP = """\
The hand-written kernels: list them, read one, run a CUDA kernel on this machine's CPU, measure the matmul ladder.
"""
EXAMPLES = """\
examples:
  minigrad kernels list                      every CUDA kernel, its file, and its registers where NVRTC is installed
  minigrad kernels show softmax              the file of the kernel, to read from top to bottom
  minigrad kernels run gelu --emulate        run gelu.cu on the CPU, compare with the NumPy kernel, look for races
  minigrad kernels run matmul --emulate      the tiled product, whose missing barrier no number would show
  minigrad kernels bench matmul --out bench  from the triple loop to BLAS, with a plot
"""
REPEATS = 3  # of a measurement; the median counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad kernels` takes."""
    parser.epilog = EXAMPLES
    parser.add_argument("action", choices=("list", "show", "run", "bench"), help="what to do")
    parser.add_argument("name", nargs="?", help="a CUDA file or kernel of `list`; for bench: matmul (the default)")
    parser.add_argument("--emulate", action="store_true", help="run on the CPU, a thread for each CUDA thread")
    parser.add_argument("--arch", default="sm_80", help="the GPU architecture that `list` compiles for (sm_80)")
    parser.add_argument("--size", type=int, default=1024, metavar="N", help="side of bench's matrices (1024)")
    parser.add_argument("--out", metavar="DIR", help="where bench saves its plot (PNG, SVG) and table (CSV)")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    if args.action == "list":
        return list_kernels(args.arch)
    if args.action == "bench":
        return bench(args.name or "matmul", args.size, args.out)
    if args.name is None:
        raise ValueError(f"kernels {args.action} needs a name: one of {', '.join(file_names())}")
    if args.action == "show":
        print(find_source(args.name).read_text(encoding="utf-8"), end="")
        return 0
    return run_kernel(args.name, args.emulate)


def file_names() -> list[str]:
    """The CUDA files' names without their ending."""
    from minigrad.kernels.emulate import CUDA_SOURCES

    return sorted(path.stem for path in CUDA_SOURCES.glob("*.cu"))


def find_source(name: str) -> Path:
    """The CUDA file of that name, or the one that has the kernel of that name.

    Raises:
        ValueError: there is neither.
    """
    from minigrad.kernels.emulate import CUDA_SOURCES

    stem = name.removesuffix(".cu")
    for path in sorted(CUDA_SOURCES.glob("*.cu")):
        if path.stem == stem or re.search(rf"void {re.escape(stem)}\(", path.read_text(encoding="utf-8")):
            return path
    raise ValueError(f"name={name!r} is no CUDA file or kernel of this project; there are {', '.join(file_names())}")


def list_kernels(arch: str) -> int:
    """Print a table of all kernels: parameters of a launch they need, and what they take of a GPU."""
    from rich.console import Console
    from rich.table import Table

    from minigrad.kernels import nvrtc
    from minigrad.kernels.emulate import EmulatedModule

    table = Table("file", "kernel", "registers", "shared bytes", "spilled", title=f"CUDA kernels, compiled for {arch}")
    missing = ""
    for name in file_names():
        path = find_source(name)
        try:
            resources = nvrtc.compile(path, arch).kernels
        except RuntimeError as error:
            missing, resources = str(error), {}
        for kernel in EmulatedModule(path).kernels:
            found = resources.get(kernel)
            table.add_row(path.name, kernel, *(map(str, found) if found else ("-", "-", "-")))
    Console(width=None if Console().is_terminal else 120).print(table)
    if missing:
        print(f"registers are not known: {missing}")
    return 0


def run_kernel(name: str, emulated: bool) -> int:
    """Run the kernel's example, compare it with the CPU's kernel, and let ThreadSanitizer watch it."""
    from minigrad.kernels.emulate import EmulatedModule, sanitizers_work
    from minigrad.kernels.examples import EXAMPLES as RUNS

    path = find_source(name)
    if path.stem not in RUNS:
        raise ValueError(f"name={name!r} has no example to run; these have: {', '.join(RUNS)}")
    require_what_runs_it(name, emulated)
    if not emulated:
        print("running on the emulator all the same: on a GPU, call minigrad.kernels.gpu (device='cuda' does)")
    example = RUNS[path.stem]()
    module: EmulatedModule = EmulatedModule(path)
    start = time.perf_counter()
    module.launch(example.kernel, example.grid, example.block, example.args, example.shared_bytes)
    seconds = time.perf_counter() - start
    print(f"{path.name}: {example.kernel}, grid {example.grid}, block {example.block}: {seconds:.2f} s on the CPU")
    print(f"largest difference from {example.oracle}: {example.difference():.2g}")
    if not sanitizers_work():
        print("no search for races: the compiler has no sanitizer libraries (install libasan and libtsan)")
        return 0
    report = module.check(
        example.kernel, example.grid, example.block, example.args, example.shared_bytes, sanitizer="thread"
    )
    print("ThreadSanitizer: no race" if report.clean else f"ThreadSanitizer: {report.summary}")
    return 0 if report.clean else 1


def require_what_runs_it(name: str, emulated: bool) -> None:
    """A compiler for the emulator, and without --emulate a GPU.

    Raises:
        ValueError: this machine lacks it, with the remedy: in one line, for whoever calls the command.
    """
    from minigrad.kernels.emulate import find_compiler
    from minigrad.kernels.launch_cuda import require_gpu

    if not emulated:
        try:
            require_gpu()
        except RuntimeError as error:
            remedy = f"minigrad kernels run {name} --emulate"
            raise ValueError(f"to run it on this machine's CPU: {remedy}; without --emulate: {error}") from error
    try:
        find_compiler()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def bench(name: str, size: int, out: str | None) -> int:
    """Measure the rungs of the matmul ladder, print them, and save a plot."""
    if name != "matmul":
        raise ValueError(f"name={name!r} has no ladder to measure; use matmul")
    if size < 2:
        raise ValueError(f"--size {size} must be at least 2")
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from minigrad.kernels.ladder import LADDER, LARGEST

    measured: dict[str, tuple[int, float]] = {}
    with Progress(transient=True) as progress:
        for rung in progress.track(LADDER, description="measuring"):
            side = min(size, LARGEST.get(rung, size))
            measured[rung] = (side, operations_per_second(LADDER[rung], side))
    table = Table("rung", "size", "GFLOP/s", "times the one before", title=f"C = A B in float32; {blas_description()}")
    before = None
    for rung, (side, rate) in measured.items():
        table.add_row(rung, str(side), f"{rate / 1e9:.4g}", f"{rate / before:.1f}" if before else "")
        before = rate
    Console(width=None if Console().is_terminal else 110).print(table)
    if out is not None:
        save(measured, Path(out))
    return 0


def operations_per_second(rung: Any, side: int) -> float:
    """2 side^3 divided by the median time of a product."""
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, side, side)).astype(np.float32)
    rung(a[:2, :2], b[:2, :2])  # the first call pays for imports and threads
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        rung(a, b)
        times.append(time.perf_counter() - start)
        if sum(times) > 3.0:
            break
    return 2.0 * side**3 / statistics.median(times)


def save(measured: dict[str, tuple[int, float]], folder: Path) -> None:
    """Write ladder.csv, ladder.png and ladder.svg."""
    from minigrad.plots import ladder

    folder.mkdir(parents=True, exist_ok=True)
    lines = ["rung,size,flops_per_second", *(f"{rung},{side},{rate:.6g}" for rung, (side, rate) in measured.items())]
    (folder / "ladder.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for ending in ("png", "svg"):
        ladder(measured, folder / f"ladder.{ending}")
    print(f"saved {folder}/ladder.csv, ladder.png, ladder.svg")


def blas_description() -> str:
    """The BLAS that NumPy uses, its kernel, its threads and OPENBLAS_CORETYPE: what a speed here depends on.

    >>> "OPENBLAS_CORETYPE" in blas_description()
    True
    """
    from threadpoolctl import threadpool_info

    coretype = f"OPENBLAS_CORETYPE {os.environ.get('OPENBLAS_CORETYPE', 'not set')}"
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not libraries:
        return f"unknown BLAS, {coretype}"
    name, version, kernel, threads = (
        libraries[0].get(key, "unknown") for key in ("internal_api", "version", "architecture", "num_threads")
    )
    return f"{name} {version}, kernel {kernel}, {threads} threads, {coretype}"
