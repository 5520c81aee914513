"""`minigrad train`: train a model on text or on pictures, on one process or on many."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.commands import train_mesh, train_settings
from minigrad.commands.train_servings import SERVINGS
from minigrad.commands.train_settings import CHECKPOINTS, make_folder

if TYPE_CHECKING:
    from minigrad.commands.train_tasks import Task
    from minigrad.train import StepRecord

__all__ = ["EXAMPLES", "HELP", "add_arguments", "make_folder", "run"]

HELP = """\
Train a character-level GPT on the source code of this Python's standard library, or on a text of yours; or an MLP
or a small convolutional network on scikit-learn's handwritten digits.

With --ranks N it starts N processes under mpirun; each has its share of every batch, and the gradients are averaged by
our own all-reduce. --strategy says what else they share. The result is that of one process with the whole batch.
With --strategy ps-... rank 0 is a parameter server and the others work for it; --steps counts the server's updates, and
how stale the gradients were is printed and written. Only ps-sync has the result of one process.
With --simulate the ranks live in this process, on a virtual clock.

With --checkpoint-every N the run can be stopped at any time, and --resume goes on with it as if it never was.
"""
EXAMPLES = """\
examples:
  minigrad train                                       one process, 200 steps, files in runs/train
  minigrad train --ranks 2 --strategy ddp --steps 300
  minigrad train --ranks 4 --strategy zero3 --simulate --steps 3 --trace runs/trace
  minigrad train --ranks 4 --strategy pipeline --schedule zb-h1 --micro-batches 8 --simulate --steps 3
  minigrad train --mesh dp=2,pp=2 --strategy zero1     two pipelines of two ranks, which share the optimizer's state
  minigrad train --ranks 4 --strategy ps-async --model mlp --steps 600
  minigrad train --text shakespeare.txt --out runs/shakespeare
  minigrad train --model mlp --out runs/digits         needs scikit-learn: pip install scikit-learn
  minigrad train --checkpoint-every 50 --out runs/a    and after Ctrl-C, or a crash:
  minigrad train --resume runs/a
  minigrad train --accumulate 4 --recompute            the same numbers in less memory
  mpirun -n 2 minigrad train --steps 300               the same under a plain mpirun

written to --out: loss.png, metrics.csv (one row a step), settings.json, model.safetensors, sample.txt (gpt) or
predictions.txt (mlp, cnn), checkpoints/ with --checkpoint-every, and staleness.csv with --strategy ps-...
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad train` takes."""
    parser.epilog = EXAMPLES
    train_settings.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Check everything once, then train here or start the ranks."""
    from minigrad.commands.train_tasks import make_task
    from parallel.comm.environment import job_size

    job = job_size()
    train_settings.settle(args)
    train_settings.check(args, job)
    task = make_task(args)
    make_folder(args.out)
    train_settings.refuse_old_checkpoints(args)
    if args.simulate:
        from minigrad.commands.train_simulated import simulate_ranks

        return simulate_ranks(args, task)
    if job is None and (args.ranks or 1) > 1:
        return start_ranks(args)
    if job is None:
        from minigrad.train import SingleProcess

        return train_here(args, task, SingleProcess)
    from mpi4py import MPI

    from minigrad.commands.train_strategies import make_replica
    from parallel.comm.abort import end_job_on_exception
    from parallel.comm.mpirun import world_mismatch

    end_job_on_exception(MPI.COMM_WORLD)
    if mismatch := world_mismatch(MPI.COMM_WORLD.Get_size()):
        raise ValueError(mismatch)
    if args.strategy in SERVINGS:
        from minigrad.commands.train_server import train_served

        return train_served(args, task, MPI.COMM_WORLD)
    return train_here(args, task, lambda model: make_replica(args, task, model, MPI.COMM_WORLD))


def start_ranks(args: argparse.Namespace) -> int:
    """Run this same command under mpirun."""
    from minigrad.commands.train_report import terminal_variables
    from parallel.comm.launch import launch

    command = ["-m", "minigrad.cli", "train", *train_settings.command_line(args)]
    threads = max(1, (os.cpu_count() or 1) // args.ranks)
    return launch(command, args.ranks, threads=threads, env=terminal_variables()).returncode


def train_here(
    args: argparse.Namespace, task: Task, make_replica: Any, kept: list[StepRecord] | None = None
) -> int:
    """Train in this process, which may be one rank of several; one rank reports and writes, and adds to `kept`."""
    import numpy as np

    from minigrad.allocation import keep_freed_memory
    from minigrad.commands.train_report import print_heading, progress_bar, write_results
    from minigrad.recompute import recompute_calls
    from minigrad.train import Checkpoints, TrainConfig, TrainingDivergedError, train

    keep_freed_memory()
    whole = task.model(np.random.default_rng(args.seed))
    description = task.describe(whole)
    replica = make_replica(whole)
    if args.recompute and not train_mesh.on_mesh(args):  # there the stages recompute
        for layer in task.layers(replica.model):
            recompute_calls(layer)
    config = TrainConfig(
        steps=args.steps, batch_size=args.batch_size, lr=args.lr, seed=args.seed,
        accumulate=args.accumulate, precision=args.precision,
        threads=train_settings.threads_for(args, replica.model, replica.ranks),
    )  # fmt: skip
    checkpoints = Checkpoints(
        Path(args.out) / CHECKPOINTS, args.checkpoint_every, args.resume is not None, train_settings.settings_of(args)
    )
    if not replica.reports:
        with suppress(TrainingDivergedError):  # every rank has the same loss: rank 0 tells of it and ends the job
            train(replica, task.data, config, checkpoints=checkpoints)
            with replica.whole():
                pass  # the one that reports writes the model now
        return 0
    print_heading(args, description, replica)
    with progress_bar(config.steps, task.unit) as show:
        records = train(replica, task.data, config, on_step=show, checkpoints=checkpoints)
    if kept is not None:
        kept += records
    with replica.whole() as model:
        write_results(args, task, replica, model, records)
    return 0
