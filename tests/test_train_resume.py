"""`minigrad train --resume` and its companions, as a newcomer types them."""

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from minigrad.cli import main
from minigrad.serialize import load_arrays

TINY = ["--batch-size=4", "--block-size=16", "--layers=1", "--heads=2", "--width=16"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    return path


def losses(folder):
    with open(folder / "metrics.csv") as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file) if row["loss"]]  # row 0 has none


def assert_same_run(one, other):
    assert losses(one) == losses(other)
    weights = [load_arrays(folder / "model.safetensors") for folder in (one, other)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def kill_all_that_name(folder):
    """The command, mpirun, and the ranks, which mpirun puts into sessions of their own; until none is left."""
    deadline = time.monotonic() + 20
    while running := [path for path in Path("/proc").glob("[0-9]*/cmdline") if names(path, folder)]:
        assert time.monotonic() < deadline
        for path in running:
            with suppress(ProcessLookupError):
                os.kill(int(path.parent.name), signal.SIGKILL)
        time.sleep(0.02)


def names(path, folder):
    """Whether the folder is among the words of a process's command line; one that is gone has no words."""
    try:
        return str(folder).encode() in path.read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_killed_run_goes_on_by_naming_its_folder(tmp_path, text, ranks):
    """A kill -9 somewhere, then --resume with nothing else: the same files as a run that was left alone."""
    command = ["train", "--text", str(text), "--steps=40", "--seed=3", "--ranks", str(ranks), *TINY]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def start(*words):
        line = [sys.executable, "-m", "minigrad.cli", *words]
        return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)

    assert start(*command, "--out", str(whole)).wait(60) == 0
    process = start(*command, "--out", str(broken), "--checkpoint-every", "3")
    while not list((broken / "checkpoints").glob("step-*")) and process.poll() is None:
        time.sleep(0.005)
    kill_all_that_name(broken)
    process.wait(30)
    assert start("train", "--resume", str(broken), "--ranks", str(ranks)).wait(60) == 0
    assert_same_run(whole, broken)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_digits_are_trained_and_resumed_alike(tmp_path, model, capfd):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra: course)")
    out = tmp_path / "run"
    command = ["train", "--model", model, "--out", str(out), "--width=16", "--checkpoint-every=2"]
    assert main([*command, "--steps=4"]) == 0
    names = {"checkpoints", "loss.png", "metrics.csv", "model.safetensors", "predictions.txt", "settings.json"}
    assert {path.name for path in out.iterdir()} == names
    assert "of 359 validation pictures right" in capfd.readouterr().out
    assert main(["train", "--resume", str(out / "checkpoints"), "--steps=6"]) == 0
    assert [step for step, _ in losses(out)] == list("123456")


def test_less_memory_and_the_same_numbers(tmp_path, text):
    """Row `same-math-32` after three steps of float32."""
    found = []
    for extra in ([], ["--accumulate=2"], ["--recompute"]):
        out = tmp_path / f"run{len(found)}"
        assert main(["train", "--text", str(text), "--steps=3", "--out", str(out), *TINY, *extra]) == 0
        found.append([float(loss) for _, loss in losses(out)])
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == found[0]


def test_short_precisions(tmp_path, text, capfd):
    for precision in ("float16", "bfloat16"):
        out = tmp_path / precision
        command = ["train", "--text", str(text), "--steps=3", "--out", str(out), *TINY]
        assert main([*command, "--precision", precision]) == 0
        assert precision in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--resume NOWHERE", "has no checkpoint in"),
        ("--resume RUN --lr 0.1", "--lr 0.1 differs from the resumed run's, 0.002"),
        ("--resume RUN --model mlp", "--model mlp differs from the resumed run's, gpt"),
        ("--resume RUN --steps 1", "the checkpoint has 2 steps behind it, steps=1"),
        ("--resume RUN --out elsewhere", "leave --out away"),
        ("--resume DAMAGED", "is damaged: arrays.safetensors does not have the checksum"),
        ("--out RUN --checkpoint-every 1", "has checkpoints of an earlier run; go on with it (--resume"),
        ("--checkpoint-every -1", "--checkpoint-every -1 must not be negative"),
        ("--accumulate 0", "--accumulate 0 must be at least 1"),
        ("--accumulate 17", "--accumulate 17 exceeds --batch-size 16"),
        ("--accumulate 9 --ranks 2", "--accumulate 9 exceeds --batch-size 16 over 2 ranks"),
        ("--precision float8", "--precision float8 is not known; choose from: float32, float16, bfloat16"),
        ("--model mlp --block-size 64", "--block-size is for --model gpt; mlp learns digits"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, sentence, text, tmp_path, capfd):
    run, damaged = tmp_path / "saved", tmp_path / "damaged"
    if "RUN" in arguments or "DAMAGED" in arguments:
        folder = damaged if "DAMAGED" in arguments else run
        out = ["--out", str(folder)]
        assert main(["train", "--text", str(text), "--steps=2", "--checkpoint-every=2", *TINY, *out]) == 0
    if "DAMAGED" in arguments:
        file = damaged / "checkpoints" / "step-00000002" / "arrays.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    capfd.readouterr()
    places = {"RUN": run, "DAMAGED": damaged, "NOWHERE": tmp_path / "nowhere"}
    words = [str(places.get(word, word)) for word in arguments.split()]
    if not {"--resume", "--out", "mlp"} & set(words):
        words += ["--out", str(tmp_path / "out"), "--text", str(text)]
    assert main(["train", *words]) == 2
    error = capfd.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
