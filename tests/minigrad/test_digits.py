"""The digits, and what is said where scikit-learn is missing."""

import sys

import numpy as np
import pytest

from minigrad.cli import main
from minigrad.data import load_digits
from minigrad.nn import MLP
from minigrad.train import SingleProcess, TrainConfig, train


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install scikit-learn"):
        load_digits()
    assert main(["train", "--model", "mlp"]) == 2
    assert "--model mlp: the digits need scikit-learn: pip install" in capfd.readouterr().err


def test_the_digits_are_parted_once_and_for_all():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra: course)")
    data = load_digits()
    assert data.inputs.shape == (1438, 64)
    assert data.validation_inputs.shape == (359, 64)
    assert data.inputs.dtype == np.float32
    assert data.inputs.min() == 0.0
    assert data.inputs.max() == 1.0
    assert set(data.targets) == set(range(10))
    np.testing.assert_array_equal(load_digits().inputs, data.inputs)
    square = load_digits(flat=False)
    assert square.inputs.shape == (1438, 1, 8, 8)
    np.testing.assert_array_equal(square.inputs.reshape(-1, 64), data.inputs)
    inputs, targets = data.batch(np.array([3, 1]))
    np.testing.assert_array_equal(inputs, data.inputs[[3, 1]])
    np.testing.assert_array_equal(targets, data.targets[[3, 1]])


def test_an_mlp_learns_them_in_the_same_loop():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra: course)")
    model = MLP([64, 32, 10], rng=np.random.default_rng(0))
    config = TrainConfig(steps=150, batch_size=64, lr=1e-2, validate_every=0, validation_windows=359)
    records = train(SingleProcess(model), load_digits(), config)
    assert records[0].loss == pytest.approx(np.log(10), abs=0.3)
    assert records[-1].validation_loss < 0.3
    assert records[0].tokens == 64
