"""`minigrad train --strategy pipeline` and `--mesh`, as a newcomer types them."""

import csv
import json

import numpy as np
import pytest

from minigrad.cli import main
from minigrad.serialize import load_arrays

TINY = ["--batch-size=8", "--block-size=16", "--layers=3", "--heads=2", "--width=16", "--steps=3"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    return path


def run(text, folder, *options):
    """Train; returns losses and weights."""
    assert main(["train", "--text", str(text), "--out", str(folder), *TINY, *options]) == 0
    return results(folder)


def results(folder):
    with open(folder / "metrics.csv") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    return losses, load_arrays(folder / "model.safetensors")


@pytest.mark.parametrize(
    "options",
    [
        "--strategy pipeline --ranks 4 --schedule zb-h1 --micro-batches 8",
        "--strategy pipeline --ranks 2 --schedule interleaved-1f1b --chunks 2 --recompute --accumulate 2",
        "--mesh dp=2,pp=2,tp=2 --strategy zero1 --schedule gpipe",
        "--mesh pp=2,dp=2",
    ],
)
def test_a_mesh_trains_as_one_process_does(options, tmp_path, text, capfd):
    """Row `same-math-32`: rounding only, after three steps."""
    alone, weights = run(text, tmp_path / "alone")
    losses, shared = run(text, tmp_path / "shared", "--simulate", *options.split())
    np.testing.assert_allclose(losses, alone, rtol=1e-5)
    assert weights.keys() == shared.keys()
    assert all(weights[name].shape == shared[name].shape for name in weights)
    printed = capfd.readouterr().out
    assert "simulated ranks (" in printed
    assert printed.count("GPT of 10,576 parameters (3 layers, width 16)") == 2  # of the whole model
    assert "virtual s a step" in printed


def test_real_ranks_and_going_on_alone(tmp_path, text):
    """Row `same-math-32`: two steps on two real ranks, the third on one process."""
    alone, _ = run(text, tmp_path / "alone")
    run(text, tmp_path / "cut", "--ranks", "2", "--strategy", "pipeline", "--checkpoint-every", "2")
    (tmp_path / "cut" / "checkpoints" / "step-00000003").rename(tmp_path / "gone")
    assert main(["train", "--resume", str(tmp_path / "cut"), "--ranks", "1", "--strategy", "ddp"]) == 0
    np.testing.assert_allclose(results(tmp_path / "cut")[0], alone, rtol=1e-5)
    settings = json.loads((tmp_path / "cut" / "settings.json").read_text())
    assert settings["ranks"] == 1


def test_digits_on_a_pipeline(tmp_path, capfd):
    """A convolutional network and an MLP, whose layers are cut like any others."""
    for model, schedule in (("cnn", "1f1b"), ("mlp", "zb-v")):
        command = ["train", "--model", model, "--out", str(tmp_path / model), "--steps=2", "--batch-size=8"]
        assert main([*command, "--strategy=pipeline", f"--schedule={schedule}", "--ranks=2", "--simulate"]) == 0
        assert "2 simulated ranks (pipeline" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--schedule zb-h1", "--schedule zb-h1 needs --strategy pipeline, or --mesh with pp"),
        ("--micro-batches 4", "--micro-batches 4 needs --strategy pipeline, or --mesh with pp"),
        ("--mesh dp2", "--mesh dp2 must look like dp=2,pp=2, with each of dp, pp, tp at most once"),
        ("--mesh dp=2,dp=2", "--mesh dp=2,dp=2 must look like dp=2,pp=2"),
        ("--mesh dp=2,pp=3 --ranks 4", "--mesh dp=2,pp=3 has 6 ranks, and there are 4"),
        ("--mesh pp=2 --strategy zero3", "--strategy zero3 does not go with --mesh; choose from: ddp, zero1, pipeline"),
        ("--mesh pp=2 --precision float16", "--precision float16 does not go with a pipeline or a mesh"),
        ("--mesh tp=3", "--mesh tp=3 needs a head for each of its tp, --heads 2 is less"),
        ("--mesh pp=6", "--schedule 1f1b on 6 ranks has 6 stages, and the gpt 5 layers"),
        ("--mesh pp=2 --schedule fast", "--schedule fast is not known; choose from: naive, gpipe"),
        ("--mesh pp=2 --schedule pipedream", "--schedule pipedream updates weights on its way"),
        ("--mesh pp=3 --schedule dualpipe", "--schedule dualpipe: stages=3 must be even"),
        ("--mesh pp=5 --schedule dualpipev", "--batch-size 8 is too small for --schedule dualpipev on 5 ranks"),
        ("--mesh pp=2 --micro-batches 9", "--micro-batches 9 must be at least 1 and at most 8: --batch-size 8"),
        ("--mesh pp=2 --schedule interleaved-1f1b --micro-batches 3", "micro_batches=3 must be a multiple of stages=2"),
        ("--mesh pp=2 --chunks 2", "--schedule 1f1b: chunks=2 must be None for 1f1b"),
    ],
)
def test_bad_input_is_one_sentence(options, sentence, tmp_path, text, capfd):
    command = ["train", "--text", str(text), "--out", str(tmp_path / "run"), *TINY, *options.split(), "--simulate"]
    assert main(command) == 2
    error = capfd.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
