"""The arguments of `minigrad train`: what they are, where a resumed run takes them from, what is refused."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.commands.train_mesh import check_mesh, copies, mesh_ranks
from minigrad.commands.train_servings import SERVINGS, check_serving, servers_of
from minigrad.commands.train_strategies import DEFAULT, STRATEGIES, help_text

if TYPE_CHECKING:
    from minigrad.nn import Module

MODELS = ("gpt", "mlp", "cnn")
PRECISIONS = ("float32", "float16", "bfloat16")
CHECKPOINTS = "checkpoints"  # folder in --out

# The parser knows no defaults: a resumed run must be able to tell what was asked for from what was not.
DEFAULTS: dict[str, Any] = {
    "model": "gpt",
    "strategy": None,
    "mesh": None,
    "schedule": None,
    "micro_batches": None,
    "chunks": None,
    "steps": 200,
    "batch_size": 16,
    "block_size": 128,
    "layers": 4,
    "heads": 4,
    "width": 128,
    "lr": 2e-3,
    "seed": 0,
    "text": None,
    "out": "runs/train",
    "accumulate": 1,
    "threads": None,
    "precision": "float32",
    "recompute": False,
    "checkpoint_every": 0,
    "servers": None,
    "backup": None,
    "staleness_bound": None,
    "window": None,
}
MAY_CHANGE = {  # in a resumed run
    "steps", "strategy", "mesh", "schedule", "micro_batches", "chunks", "out", "recompute", "checkpoint_every",
    "threads",
}  # fmt: skip
TEXT_ONLY = ("text", "block_size", "heads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad train` takes."""
    parser.add_argument("--model", help="what to train: gpt on text, mlp or cnn on digits (gpt)")
    parser.add_argument("--ranks", type=int, metavar="N", help="number of processes (1, or mpirun's)")
    parser.add_argument("--strategy", help=f"what several ranks share ({DEFAULT}). {help_text()}")
    parser.add_argument("--mesh", metavar="dp=2,pp=2,tp=2", help="copies x pipeline stages x parts of each layer")
    parser.add_argument("--schedule", metavar="NAME", help="of a pipeline: gpipe, 1f1b, zb-h1, ... (1f1b)")
    parser.add_argument("--micro-batches", type=int, metavar="M", help="of a pipeline (twice its ranks, if they fit)")
    parser.add_argument("--chunks", type=int, metavar="V", help="of a pipeline: stages on a rank, if it has a choice")
    parser.add_argument("--simulate", action="store_true", help="let the ranks be simulated, in virtual time")
    parser.add_argument("--cluster", metavar="NAME", help="with --simulate: dgx-v100x4, FILE.json, ... (uniform)")
    parser.add_argument("--trace", metavar="DIR", help="with --simulate: write trace.json, for ui.perfetto.dev, there")
    parser.add_argument("--servers", type=int, metavar="K", help="ps-...: ranks that serve, each a part (1)")
    parser.add_argument("--backup", type=int, metavar="B", help="ps-sync: do not wait for the slowest B workers (0)")
    parser.add_argument("--staleness-bound", type=int, metavar="S", help="ps-ssp: steps a worker may be ahead (2)")
    parser.add_argument("--window", type=float, metavar="SECONDS", help="ps-window: from its first gradient on (0.01)")
    parser.add_argument("--steps", type=int, help="optimizer steps (200)")
    parser.add_argument("--batch-size", type=int, help="examples in a global batch: windows or pictures (16)")
    parser.add_argument("--block-size", type=int, help="gpt: characters in a window (128)")
    parser.add_argument("--layers", type=int, help="gpt: transformer blocks; mlp: linear layers (4)")
    parser.add_argument("--heads", type=int, help="gpt: attention heads (4)")
    parser.add_argument("--width", type=int, help="gpt: channels; mlp: hidden units (128)")
    parser.add_argument("--lr", type=float, help="peak learning rate (0.002)")
    parser.add_argument("--seed", type=int, help="of initial values, shuffling and sampling (0)")
    parser.add_argument("--text", metavar="FILE", help="gpt: text to learn (the standard library's source)")
    parser.add_argument("--out", metavar="DIR", help="folder for the results (runs/train)")
    parser.add_argument("--accumulate", type=int, metavar="N", help="micro-batches of a rank's part of a batch (1)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="that share each batch of one process (one a core; 1 with --ranks)"
    )
    parser.add_argument("--precision", help="of matrix products: float32, float16 or bfloat16 (float32)")
    parser.add_argument(
        "--recompute", action="store_true", default=None, help="keep layers' inputs only, recompute the rest"
    )
    parser.add_argument("--checkpoint-every", type=int, metavar="N", help="steps between two checkpoints (0: none)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder; its settings hold")


def settle(args: argparse.Namespace) -> None:
    """Fill in what was not given: from the run that is resumed, or the defaults.

    Raises:
        FileNotFoundError: --resume names no run with a checkpoint.
        ValueError: a damaged checkpoint, or an argument that differs from the resumed run's and must not.
    """
    saved: dict[str, Any] = {}
    if args.resume is not None:
        saved = resumed_settings(args.resume)
    for name, default in DEFAULTS.items():
        given, before = getattr(args, name), saved.get(name, default)
        if given is None:
            setattr(args, name, before)
        elif name in saved and name not in MAY_CHANGE and given != before:
            raise ValueError(f"--{name.replace('_', '-')} {given} differs from the resumed run's, {before}")
    if args.mesh is not None and args.ranks is None:
        args.ranks = mesh_ranks(args.mesh)
    if args.resume is not None:
        home = str(checkpoint_folder(args.resume).parent)
        if args.out not in (saved["out"], home):
            raise ValueError(f"--out {args.out} is not the resumed run's folder, {home}; leave --out away")
        args.out = home


def checkpoint_folder(run: str) -> Path:
    """Where the checkpoints of a run are, given its folder or that of its checkpoints."""
    path = Path(run)
    return path if path.name == CHECKPOINTS else path / CHECKPOINTS


def resumed_settings(run: str) -> dict[str, Any]:
    """The settings that the newest checkpoint of a run was made with."""
    from minigrad.checkpoint import checkpoints, read_state

    folder = checkpoint_folder(run)
    if not checkpoints(folder):
        raise FileNotFoundError(f"--resume {run} has no checkpoint in {folder}; train with --checkpoint-every N first")
    progress = read_state(folder).get("progress", {})
    if not isinstance(progress.get("settings"), dict) or "out" not in progress["settings"]:
        raise ValueError(f"the checkpoint in {folder} was not made by minigrad train")
    return dict(progress["settings"])


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """What a checkpoint keeps of the arguments."""
    return {name: getattr(args, name) for name in DEFAULTS}


def command_line(args: argparse.Namespace) -> list[str]:
    """The arguments again, for the processes that are started with them."""
    words = [] if args.resume is None else ["--resume", args.resume]
    for name in DEFAULTS:
        value, option = getattr(args, name), f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value not in (None, False) and value != (DEFAULTS[name] if args.resume is None else None):
            words += [option, str(value)]
    return words


def check(args: argparse.Namespace, job: int | None) -> None:
    """Refuse bad arguments before any process is started or file written.

    Raises:
        ValueError: an argument that names nothing we have, or numbers that do not fit together.
    """
    strategies = (*STRATEGIES, *SERVINGS)
    for name, known in (("model", MODELS), ("strategy", strategies), ("precision", PRECISIONS)):
        value = getattr(args, name)
        if value is not None and value not in known:
            raise ValueError(f"--{name} {value} is not known; choose from: {', '.join(known)}")
    if args.ranks is not None and args.ranks < 1:
        raise ValueError(f"--ranks {args.ranks} must be at least 1")
    if job is not None and args.ranks not in (None, job):
        raise ValueError(f"--ranks {args.ranks} inside an mpirun job of {job} processes; leave --ranks out there")
    check_simulation(args, job)
    ranks = job or args.ranks or 1
    check_mesh(args, ranks)
    for name in ("steps", "batch_size", "block_size", "layers", "heads", "width", "accumulate"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} must be at least 1")
    if not 0.0 < args.lr < float("inf"):
        raise ValueError(f"--lr {args.lr} must be positive and finite")
    for name in ("seed", "checkpoint_every"):
        if getattr(args, name) < 0:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} must not be negative")
    check_threads(args, ranks)
    check_model(args)
    check_serving(args, ranks)
    check_shares(args, copies(args, ranks))
    check_parts(args, ranks)


def check_simulation(args: argparse.Namespace, job: int | None) -> None:
    """What goes with --simulate alone, and what it does not go with."""
    for name in ("cluster", "trace"):
        if getattr(args, name) is not None and not args.simulate:
            raise ValueError(f"--{name} {getattr(args, name)} needs --simulate")
    if args.simulate and job is not None:
        raise ValueError(f"--simulate inside an mpirun job of {job} processes: simulated ranks need one process only")


def check_threads(args: argparse.Namespace, ranks: int) -> None:
    """Threads share the batch of one process; ranks share it already."""
    if args.threads is not None and args.threads < 1:
        raise ValueError(f"--threads {args.threads} must be at least 1")
    if (args.threads or 1) > 1 and args.simulate:
        raise ValueError(f"--threads {args.threads} does not go with --simulate: all simulated ranks share one thread")
    if (args.threads or 1) > 1 and ranks > 1:
        raise ValueError(f"--threads {args.threads} is for one process; the {ranks} ranks here share the batch")


def threads_for(args: argparse.Namespace, model: Module, ranks: int) -> int:
    """How many threads share a batch: what was asked for; otherwise one for each core, where that can be done."""
    from minigrad.kernels.threads import thread_count
    from minigrad.train import can_share_batch

    if args.threads is not None:
        return int(args.threads)
    return thread_count() if ranks == 1 and not args.simulate and can_share_batch(model) else 1


def check_model(args: argparse.Namespace) -> None:
    """What holds for one model and not for another."""
    if args.model == "gpt":
        if args.width % args.heads:
            raise ValueError(f"--width {args.width} must be divisible by --heads {args.heads}")
        return
    for name in TEXT_ONLY:
        if getattr(args, name) != DEFAULTS[name]:
            raise ValueError(f"--{name.replace('_', '-')} is for --model gpt; {args.model} learns digits")


def check_shares(args: argparse.Namespace, ranks: int) -> None:
    """A batch must have an example for each rank and each of its micro-batches."""
    if args.strategy in SERVINGS:
        ranks -= servers_of(args)
        if ranks > args.batch_size:
            raise ValueError(f"{ranks} workers exceed --batch-size {args.batch_size}; each needs an example")
    if ranks > args.batch_size:
        raise ValueError(f"--ranks {ranks} exceeds --batch-size {args.batch_size}; each rank needs an example")
    if args.accumulate > args.batch_size // ranks:
        share = f"--batch-size {args.batch_size}" + (f" over {ranks} ranks" if ranks > 1 else "")
        raise ValueError(f"--accumulate {args.accumulate} exceeds {share}; each micro-batch needs an example")


def check_parts(args: argparse.Namespace, ranks: int) -> None:
    """What holds where every layer is cut up."""
    if args.strategy != "tp":
        return
    if args.model != "gpt":
        raise ValueError(f"--strategy tp cuts up a gpt, not --model {args.model}")
    if ranks > args.heads:
        raise ValueError(f"--ranks {ranks} exceeds --heads {args.heads}; with --strategy tp each rank needs a head")


def make_folder(path: str, option: str = "--out") -> Path:
    """Create an output folder, or say why that cannot be."""
    if not path:
        raise ValueError(f"{option} is empty; name a folder")
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{option} {path} is a file; it must be a folder")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{option} {path} cannot be written to")
    return folder


def refuse_old_checkpoints(args: argparse.Namespace) -> None:
    """A new run among the checkpoints of another would be taken for it.

    Raises:
        ValueError: there are some, and they are not to be resumed.
    """
    from minigrad.checkpoint import checkpoints

    if args.checkpoint_every and args.resume is None and checkpoints(Path(args.out) / CHECKPOINTS):
        raise ValueError(
            f"--out {args.out} has checkpoints of an earlier run; go on with it (--resume {args.out}) or name another "
            "folder"
        )
