"""The loop, its files, and its refusals."""

import numpy as np
import pytest

from minigrad.data import TextData, conditional_entropy, standard_library_text
from minigrad.nn import GPT, GPTConfig
from minigrad.plots import loss_curve
from minigrad.serialize import load_arrays, save_arrays
from minigrad.train import SingleProcess, TrainConfig, TrainingDivergedError, train


@pytest.fixture(scope="module")
def data():
    return TextData.from_text(standard_library_text(limit=100_000), block_size=32)


def gpt(data, seed=0):
    shape = GPTConfig(data.tokenizer.vocab_size, block_size=32, n_layer=1, n_head=2, n_embd=32)
    return GPT(shape, rng=np.random.default_rng(seed))


def test_a_small_gpt_learns_more_than_which_characters_are_common(data):
    records = train(SingleProcess(gpt(data)), data, TrainConfig(steps=60, lr=1e-2, validate_every=0))
    assert records[0].loss == pytest.approx(np.log(data.tokenizer.vocab_size), abs=0.2)
    assert records[-1].validation_loss < conditional_entropy(data.train, data.tokenizer.vocab_size, 0) - 0.3


def test_a_run_can_be_repeated_bit_for_bit(data):
    losses = [
        [r.loss for r in train(SingleProcess(gpt(data)), data, TrainConfig(steps=3, validate_every=0))]
        for _ in range(2)
    ]
    assert losses[0] == losses[1]


def test_a_diverging_run_stops_and_says_where(data):
    model = gpt(data)
    model.norm.weight.data[0] = np.inf
    with pytest.raises(TrainingDivergedError, match="diverged at step 1"), np.errstate(all="ignore"):
        train(SingleProcess(model), data, TrainConfig(steps=2))


@pytest.mark.parametrize("changes", [{"steps": 0}, {"batch_size": 0}, {"lr": 0.0}, {"lr": float("nan")}])
def test_configurations_that_make_no_sense(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        TrainConfig(**changes)


def test_the_loss_curve_is_drawn(data, tmp_path):
    records = train(SingleProcess(gpt(data)), data, TrainConfig(steps=4, validate_every=2, validation_windows=4))
    loss_curve(records, tmp_path / "loss.png", title="t", levels={"uniform": 4.5})
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_arrays_to_disk_and_back(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.float32([1])}
    save_arrays(tmp_path / "x.safetensors", arrays)
    for name, array in load_arrays(tmp_path / "x.safetensors").items():
        np.testing.assert_array_equal(array, arrays[name])
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "x.safetensors"
    save_arrays(target, {"a": np.ones(1)})
    before = target.read_bytes()
    with pytest.raises(Exception, match=r".*"):
        save_arrays(target, {"a": np.array(["text"])})
    assert target.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_truncated_file_is_refused(tmp_path):
    save_arrays(tmp_path / "x.safetensors", {"a": np.ones(100)})
    whole = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_arrays(tmp_path / "x.safetensors")
