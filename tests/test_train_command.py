"""`minigrad train` and `minigrad demo` as a newcomer types them, and mistypes them."""

import csv
import json
import shlex

import pytest
from programs.plain_mpirun import plain_mpirun

from minigrad.cli import main

TINY = ["--steps=3", "--batch-size=4", "--block-size=16", "--layers=1", "--heads=2", "--width=16"]
OUTPUTS = ["loss.png", "metrics.csv", "model.safetensors", "sample.txt", "settings.json", "tokenizer.json"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    return path


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_training_writes_its_files(tmp_path, text, ranks):
    out = tmp_path / "run"
    command = ["train", "--text", str(text), "--out", str(out), "--ranks", str(ranks), *TINY]
    assert main(command) == 0
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS
    with open(out / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[0]["validation_loss"]) > 0
    assert float(rows[-1]["validation_loss"]) > 0
    assert json.loads((out / "settings.json").read_text())["ranks"] == ranks


def test_the_same_losses_on_one_rank_and_on_two(tmp_path, text):
    """float32, two steps: rounding only. (The proof in float64 is in test_data_parallel.py.)"""
    losses = []
    for ranks in ("1", "2"):
        out = tmp_path / ranks
        assert main(["train", "--text", str(text), "--out", str(out), "--ranks", ranks, *TINY]) == 0
        with open(out / "metrics.csv") as file:
            losses.append([float(row["loss"]) for row in csv.DictReader(file) if row["loss"]][:2])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_same_losses_on_one_thread_and_on_three(tmp_path, text):
    """float32, two steps: rounding only. (The proof in float64 is in test_batch_threads.py.)"""
    losses = []
    for threads in ("1", "3"):
        out = tmp_path / threads
        assert main(["train", "--text", str(text), "--out", str(out), "--threads", threads, *TINY]) == 0
        with open(out / "metrics.csv") as file:
            losses.append([float(row["loss"]) for row in csv.DictReader(file) if row["loss"]][:2])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_same_under_a_plain_mpirun(tmp_path, text):
    out = tmp_path / "run"
    job = plain_mpirun(["-m", "minigrad.cli", "train", "--text", text, "--out", out, *TINY], 2)
    assert job.returncode == 0, job.stderr
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS
    assert job.stdout.count("2 ranks") == 1  # only rank 0 reports


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--strategy zero9", "--strategy zero9 is not known; choose from: ddp, zero1"),
        ("--model cnn9", "--model cnn9 is not known"),
        ("--threads 0", "--threads 0 must be at least 1"),
        ("--threads 2 --ranks 2", "--threads 2 is for one process; the 2 ranks here share the batch"),
        ("--threads 2 --simulate", "--threads 2 does not go with --simulate"),
        ("--ranks 0", "--ranks 0 must be at least 1"),
        ("--ranks 5 --batch-size 4", "--ranks 5 exceeds --batch-size 4"),
        ("--text /no/such/file", "text file '/no/such/file' does not exist"),
        ("--text EMPTY", "is empty"),
        ("--text SHORT", "text has 5 characters; block_size=128 needs at least 1290"),
        ("--text TEXT --block-size 16 --batch-size 4000", "fewer than --batch-size 4000"),
        ("--steps 0", "--steps 0 must be at least 1"),
        ("--lr -1", "--lr -1.0 must be positive"),
        ("--lr inf", "--lr inf must be positive and finite"),
        ("--lr nan", "--lr nan must be positive"),
        ("--width 10 --heads 4", "--width 10 must be divisible by --heads 4"),
        ("--seed -1", "--seed -1 must not be negative"),
        ("--out ''", "--out is empty"),
        ("--out TEXT", "is a file; it must be a folder"),
        ("--steps many", "invalid int value: 'many'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, sentence, text, tmp_path, capfd):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("short")
    places = {"TEXT": text, "EMPTY": tmp_path / "empty.txt", "SHORT": tmp_path / "short.txt"}
    words = [str(places.get(word, word)) for word in shlex.split(arguments)]
    if "--out" not in words:
        words += ["--out", str(tmp_path / "run")]
    try:
        status = main(["train", *words])
    except SystemExit as stop:
        status = stop.code
    error = capfd.readouterr().err
    assert status == 2
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert "Traceback" not in error


def test_a_diverging_run_ends_with_a_sentence(text, tmp_path, capfd):
    """A learning rate of 10^30 overflows float32 at once."""
    command = ["train", "--text", str(text), "--out", str(tmp_path / "run"), *TINY, "--lr", "1e30"]
    status = main(command)
    assert status == 2
    assert "training diverged at step" in capfd.readouterr().err
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("started_by", ["minigrad", "mpirun"])
def test_two_ranks_that_diverge_say_so_once(started_by, text, tmp_path, capfd):
    """All ranks have the same loss; with two sentences, or MPI's own beside them, nobody knows which to read."""
    command = ["train", "--text", str(text), "--out", str(tmp_path / "run"), *TINY, "--lr", "1e30"]
    if started_by == "minigrad":
        assert main([*command, "--ranks", "2"]) == 2
        error = capfd.readouterr().err
        assert len(error.strip().splitlines()) == 1
    else:
        job = plain_mpirun(["-m", "minigrad.cli", *command], 2)
        assert job.returncode == 2
        error = job.stderr
    assert error.count("minigrad train: error: training diverged at step") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--steps 0", "--steps 0 must be at least 1"),
        ("--ranks 0", "--ranks 0 must be at least 1"),
        ("--ranks 100", "--ranks 100 exceeds the 16 windows of a batch; each rank needs one"),
    ],
)
def test_the_demo_names_the_option_that_is_wrong(arguments, sentence, tmp_path, capfd):
    assert main(["demo", "--out", str(tmp_path / "demo"), *arguments.split()]) == 2
    assert capfd.readouterr().err == f"minigrad demo: error: {sentence}\n"


def test_a_short_demo(tmp_path, capfd):
    out = tmp_path / "demo"
    assert main(["demo", "--steps", "2", "--out", str(out)]) == 0
    printed = capfd.readouterr().out
    assert "the same bits" in printed
    assert {"loss.png", "staleness-map.png", "equality.json", "metrics.csv"} <= {path.name for path in out.iterdir()}
