"""`minigrad train`: train a model on text, on one process or on many."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.data import TextData
    from minigrad.train import Replica, StepRecord, TrainConfig

HELP = """\
Train a character-level GPT on the source code of this Python's standard library, or on a text of yours.

With --ranks N it starts N processes under mpirun; each has the whole model and its share of every batch, and
their gradients are averaged by our own ring all-reduce. The result is that of one process with the whole batch.
"""
EXAMPLES = """\
examples:
  minigrad train                                       one process, 200 steps, files in runs/train
  minigrad train --ranks 2 --strategy ddp --steps 300
  minigrad train --text shakespeare.txt --out runs/shakespeare
  mpirun -n 2 minigrad train --steps 300               the same under a plain mpirun

written to --out: loss.png, metrics.csv (one row a step), settings.json, model.safetensors, sample.txt
"""
MODELS = ("gpt",)
STRATEGIES = ("ddp",)
SAMPLE_LENGTH = 300  # characters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad train` takes."""
    parser.epilog = EXAMPLES
    parser.add_argument("--model", default="gpt", help="what to train: gpt (gpt)")
    parser.add_argument("--ranks", type=int, metavar="N", help="number of processes (1, or mpirun's)")
    parser.add_argument("--strategy", help="how the ranks share the work: ddp (ddp if there are several ranks)")
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps (200)")
    parser.add_argument("--batch-size", type=int, default=16, help="windows in a global batch (16)")
    parser.add_argument("--block-size", type=int, default=128, help="characters in a window (128)")
    parser.add_argument("--layers", type=int, default=4, help="transformer blocks (4)")
    parser.add_argument("--heads", type=int, default=4, help="attention heads (4)")
    parser.add_argument("--width", type=int, default=128, help="channels (128)")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate (0.002)")
    parser.add_argument("--seed", type=int, default=0, help="of initial values, shuffling and sampling (0)")
    parser.add_argument("--text", metavar="FILE", help="text to learn (the standard library's source)")
    parser.add_argument("--out", default="runs/train", metavar="DIR", help="folder for the results (runs/train)")


def run(args: argparse.Namespace) -> int:
    """Check everything once, then train here or start the ranks."""
    from parallel.comm.environment import job_size

    job = job_size()
    check(args, job)
    if job is None and (args.ranks or 1) > 1:
        return start_ranks(args)
    if job is None:
        from minigrad.train import SingleProcess

        return train_here(args, SingleProcess)
    from mpi4py import MPI

    from parallel.comm.mpirun import world_mismatch
    from parallel.data_parallel import DataParallel

    if mismatch := world_mismatch(MPI.COMM_WORLD.Get_size()):
        raise ValueError(mismatch)
    return train_here(args, lambda model: DataParallel(model, MPI.COMM_WORLD))


def check(args: argparse.Namespace, job: int | None) -> None:
    """Refuse bad arguments before any process is started or file written.

    Raises:
        ValueError: an argument that names nothing we have, or numbers that do not fit together.
        FileNotFoundError: no such text file.
    """
    if args.model not in MODELS:
        raise ValueError(f"--model {args.model} is not known; choose from: {', '.join(MODELS)}")
    if args.strategy is not None and args.strategy not in STRATEGIES:
        raise ValueError(f"--strategy {args.strategy} is not known; choose from: {', '.join(STRATEGIES)}")
    if args.ranks is not None and args.ranks < 1:
        raise ValueError(f"--ranks {args.ranks} must be at least 1")
    if job is not None and args.ranks not in (None, job):
        raise ValueError(f"--ranks {args.ranks} inside an mpirun job of {job} processes; leave --ranks out there")
    ranks = job or args.ranks or 1
    for name in ("steps", "batch_size", "block_size", "layers", "heads", "width"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} must be at least 1")
    if not args.lr > 0.0:
        raise ValueError(f"--lr {args.lr} must be positive")
    if args.seed < 0:
        raise ValueError(f"--seed {args.seed} must not be negative")
    if args.width % args.heads:
        raise ValueError(f"--width {args.width} must be divisible by --heads {args.heads}")
    if ranks > args.batch_size:
        raise ValueError(f"--ranks {ranks} exceeds --batch-size {args.batch_size}; each rank needs an example")
    data = load_data(args)
    if len(data) < args.batch_size:
        raise ValueError(
            f"the text has {len(data)} windows of {args.block_size} characters, fewer than --batch-size "
            f"{args.batch_size}"
        )
    make_folder(args.out)


def make_folder(path: str) -> Path:
    """Create an output folder, or say why that cannot be."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {path} is a file; it must be a folder")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise ValueError(f"--out {path} cannot be written to")
    return folder


def load_data(args: argparse.Namespace) -> TextData:
    """The text, tokenised and split."""
    from minigrad.data import TextData, read_text, standard_library_text

    text = read_text(args.text) if args.text else standard_library_text()
    return TextData.from_text(text, args.block_size)


def start_ranks(args: argparse.Namespace) -> int:
    """Run this same command under mpirun."""
    from parallel.comm.launch import launch

    options = ("model", "steps", "batch_size", "block_size", "layers", "heads", "width", "lr", "seed", "out", "text")
    command = ["-m", "minigrad.cli", "train"]
    for name in options:
        if getattr(args, name) is not None:
            command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    threads = max(1, (os.cpu_count() or 1) // args.ranks)
    return launch(command, args.ranks, threads=threads, env=terminal_variables()).returncode


def terminal_variables() -> dict[str, str]:
    """Tell rank 0, whose output passes through mpirun, what is at the other end: a terminal's width, or 0."""
    return {"MINIGRAD_TERMINAL_WIDTH": str(os.get_terminal_size().columns if sys.stdout.isatty() else 0)}


def train_here(args: argparse.Namespace, make_replica: Any) -> int:
    """Train in this process, which may be one rank of several; rank 0 reports and writes."""
    import numpy as np

    from minigrad.nn import GPT, GPTConfig
    from minigrad.train import TrainConfig, train

    data = load_data(args)
    shape = GPTConfig(data.tokenizer.vocab_size, args.block_size, args.layers, args.heads, args.width)
    replica = make_replica(GPT(shape, rng=np.random.default_rng(args.seed)))
    config = TrainConfig(steps=args.steps, batch_size=args.batch_size, lr=args.lr, seed=args.seed)
    if replica.rank != 0:
        train(replica, data, config)
        return 0
    records = train_with_progress(replica, data, config, args)
    write_results(args, replica, data, records)
    return 0


def train_with_progress(
    replica: Replica, data: TextData, config: TrainConfig, args: argparse.Namespace
) -> list[StepRecord]:
    """Train behind a progress bar, or with a line now and then where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from minigrad.train import train

    width = int(os.environ.get("MINIGRAD_TERMINAL_WIDTH", "-1"))
    console = Console() if width < 0 else Console(force_terminal=width > 0, width=width or None)
    parameters = sum(p.numel() for p in replica.model.parameters())
    print(
        f"GPT of {parameters:,} parameters ({args.layers} layers, width {args.width}), "
        f"{len(data.train):,} training characters, alphabet of {data.tokenizer.vocab_size}\n"
        f"{replica.size} rank{'s' * (replica.size > 1)}, global batch {args.batch_size} x {args.block_size}, "
        f"AdamW, lr {args.lr:g}, seed {args.seed}",
        flush=True,
    )
    progress = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task("", total=config.steps)

        def show(record: StepRecord) -> None:
            line = f"loss {record.loss:.3f}  {record.tokens / record.seconds:,.0f} tokens/s"
            progress.update(task, advance=1, description=line)
            if record.validation_loss is not None:
                line = f"step {record.step:4d}  validation loss {record.validation_loss:.3f}  {line}"
                console.print(line, highlight=False, soft_wrap=True)
                console.file.flush()

        return train(replica, data, config, on_step=show)


def write_results(args: argparse.Namespace, replica: Replica, data: TextData, records: list[StepRecord]) -> None:
    """Metrics, picture, settings, weights and a sample of text."""
    import numpy as np

    from minigrad.data import conditional_entropy
    from minigrad.plots import loss_curve
    from minigrad.serialize import save_arrays

    folder = Path(args.out)
    write_metrics(folder / "metrics.csv", records)
    alphabet = data.tokenizer.vocab_size
    loss_curve(
        records,
        folder / "loss.png",
        title=f"GPT on {'the standard library' if not args.text else Path(args.text).name}, "
        f"{replica.size} rank{'s' * (replica.size > 1)}",
        levels={
            "uniform": float(np.log(alphabet)),
            "bigram entropy": conditional_entropy(data.train, alphabet, 1),
            "trigram entropy": conditional_entropy(data.train, alphabet, 2),
        },
    )
    settings = {key: value for key, value in vars(args).items() if key != "debug"} | {"ranks": replica.size}
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    save_arrays(folder / "model.safetensors", replica.model.state_dict())
    sample = sample_text(replica, data, args.seed)
    (folder / "sample.txt").write_text(sample, encoding="utf-8")
    print(f"\na sample of what it writes (seed {args.seed}):\n" + "\n".join("  | " + x for x in sample.splitlines()))
    print(f"\nwritten to {folder}/: loss.png, metrics.csv, settings.json, model.safetensors, sample.txt", flush=True)


def sample_text(replica: Replica, data: TextData, seed: int) -> str:
    """What the model writes after the beginning of its validation text."""
    import numpy as np

    from minigrad.nn import GPT

    assert isinstance(replica.model, GPT)
    prompt = data.validation[: min(16, data.block_size)]
    tokens = replica.model.generate(prompt, SAMPLE_LENGTH, np.random.default_rng(seed), temperature=0.8)
    return data.tokenizer.decode(tokens)


def write_metrics(path: Path, records: list[StepRecord]) -> None:
    """One row a step: loss in nats per character, time in seconds."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "loss", "validation_loss", "lr", "grad_norm", "seconds", "tokens_per_second"])
        for r in records:
            looked = "" if r.validation_loss is None else f"{r.validation_loss:.6f}"
            rate = f"{r.tokens / r.seconds:.1f}"
            writer.writerow(
                [r.step, f"{r.loss:.6f}", looked, f"{r.lr:.6g}", f"{r.grad_norm:.6g}", f"{r.seconds:.6f}", rate]
            )
