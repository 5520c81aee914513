"""`minigrad train --strategy ps-...`, as a newcomer types it, on simulated and on real ranks."""

import argparse
import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.cli import main
from minigrad.commands.train_servings import SERVINGS, policy
from minigrad.serialize import load_arrays

TINY = ["--batch-size=6", "--block-size=16", "--layers=2", "--heads=2", "--width=16", "--steps=3"]
OPTIONS = {"ps-window": ["--window", "1e-6"]}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    return path


def run(text: Path, folder: Path, *options: str) -> tuple[list[float], dict[str, np.ndarray]]:
    """Train a few steps; returns losses and weights."""
    assert main(["train", "--text", str(text), "--out", str(folder), *TINY, *options]) == 0
    with open(folder / "metrics.csv") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    return losses, load_arrays(folder / "model.safetensors")


@pytest.mark.parametrize("strategy", SERVINGS)
def test_simulated_ranks_serve_and_work(strategy: str, tmp_path: Path, text: Path, capfd: Any) -> None:
    options = ["--strategy", strategy, "--ranks", "4", "--simulate", *OPTIONS.get(strategy, [])]
    losses, weights = run(text, tmp_path / "run", *options, "--trace", str(tmp_path / "trace"))
    assert np.isfinite(losses).all()
    assert all(np.isfinite(array).all() for array in weights.values())
    printed = capfd.readouterr().out
    assert f"4 simulated ranks ({strategy})" in printed
    assert "virtual s a step (median of 3) on 4 simulated ranks of cluster uniform" in printed
    assert "validation loss" in printed
    with open(tmp_path / "run" / "staleness.csv") as file:
        rows = list(csv.DictReader(file))
    (counts,) = re.findall(r"staleness, in updates: .* on average\n((?: +\d+ +\d+ .*\n)+)", printed)
    for staleness, count in re.findall(r"^ +(\d+) +(\d+)", counts, re.MULTILINE):
        assert sum(row["staleness"] == staleness for row in rows) == int(count)
    assert {int(row["worker"]) for row in rows} == {1, 2, 3}
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["strategy"], settings["ranks"]) == (strategy, 4)


def test_a_policy_has_settings_without_being_asked() -> None:
    def made(strategy: str, **given: Any) -> Any:
        unset = dict.fromkeys(("servers", "backup", "staleness_bound", "window"))
        return policy(argparse.Namespace(strategy=strategy, **unset | given))

    assert (made("ps-ssp").bound, made("ps-window").seconds, made("ps-sync").backup) == (2, 0.01, 0)
    assert (made("ps-ssp", staleness_bound=0).bound, made("ps-window", window=3.0).seconds) == (0, 3.0)


def test_ps_sync_trains_as_one_process_does(tmp_path: Path, text: Path) -> None:
    """Row `same-math-32`: rounding only."""
    alone, _ = run(text, tmp_path / "alone")
    served, _ = run(text, tmp_path / "served", "--strategy", "ps-sync", "--ranks", "4", "--simulate")
    np.testing.assert_allclose(served, alone, rtol=1e-5)


def test_real_ranks(tmp_path: Path, text: Path, capfd: Any) -> None:
    """Two servers and two workers under mpirun, asynchronous; row `same-math-32` cannot hold there."""
    losses, weights = run(text, tmp_path / "run", "--strategy", "ps-async", "--ranks", "4", "--servers", "2")
    assert len(losses) == 3
    assert all(np.isfinite(array).all() for array in weights.values())
    assert "staleness, in updates" in capfd.readouterr().out


def test_a_served_run_is_gone_on_with_by_another_strategy(tmp_path: Path, text: Path, capfd: Any) -> None:
    """Row `same-math-32`: two updates on a server, the third without."""
    whole, _ = run(text, tmp_path / "whole")
    out = tmp_path / "cut"
    run(text, out, "--strategy", "ps-sync", "--ranks", "3", "--simulate", "--checkpoint-every", "2")
    (out / "checkpoints" / "step-00000003").rename(tmp_path / "gone")
    assert main(["train", "--resume", str(out), "--ranks", "3", "--simulate"]) == 2
    assert "--resume cannot go on with --strategy ps-sync: gradients on their way" in capfd.readouterr().err
    assert main(["train", "--resume", str(out), "--ranks", "2", "--strategy", "ddp", "--simulate"]) == 0
    with open(out / "metrics.csv") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    np.testing.assert_allclose(losses, whole, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--strategy ps-async", "--strategy ps-async needs --ranks of at least 2: servers and a worker"),
        ("--strategy ps-async --ranks 3 --servers 3", "needs --ranks of at least 4"),
        ("--strategy ps-async --ranks 3 --servers 0", "--servers 0 must be at least 1"),
        ("--strategy ps-ssp --ranks 3 --staleness-bound -1", "bound=-1 must be a whole number of at least 0"),
        ("--strategy ps-window --ranks 3 --window 0", "seconds=0.0 of a window must be above 0"),
        ("--strategy ps-sync --ranks 3 --backup 2", "--backup 2 must be below the number of workers, which is 2"),
        ("--strategy ps-sync --ranks 3 --backup -1", "backup=-1 must be a whole number of at least 0"),
        ("--strategy ps-async --ranks 3 --backup 1", "--backup 1 is for --strategy ps-sync"),
        ("--ranks 2 --window 1", "--window 1.0 is for --strategy ps-window"),
        ("--ranks 2 --servers 1", "--servers 1 is for --strategy ps-sync, ps-async, ps-ssp, ps-window"),
        ("--strategy ps-sync --ranks 9", "8 workers exceed --batch-size 6; each needs an example"),
        ("--strategy ps-sync --ranks 4 --accumulate 3", "--accumulate 3 exceeds --batch-size 6 over 3"),
        ("--strategy ps-sync --ranks 3 --precision float16", "--precision float16 needs loss scaling"),
        ("--strategy ps-sync --ranks 4 --servers 2 --checkpoint-every 1", "--checkpoint-every 1 needs --servers 1"),
        ("--strategy ps-sync --ranks 3 --simulate --lr 1e30", "not finite at update"),
        ("--strategy ps-fast --ranks 3", "--strategy ps-fast is not known; choose from: ddp"),
    ],
)
def test_bad_input_is_one_sentence(options: str, sentence: str, tmp_path: Path, text: Path, capfd: Any) -> None:
    command = ["train", "--text", str(text), "--out", str(tmp_path / "run"), *TINY, *options.split()]
    assert main(command) == 2
    error = capfd.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run" / "model.safetensors").exists()
