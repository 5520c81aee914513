"""What the training loop promises: clipping, decay, schedule, validation, speeds, and the levels in its picture."""

import csv
import math
import re
from argparse import Namespace
from collections import Counter

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import minigrad as mg
from minigrad import nn
from minigrad.cli import main
from minigrad.commands.train_report import write_metrics
from minigrad.commands.train_tasks import TextTask
from minigrad.data import LabelledData, TextData
from minigrad.plots import loss_curve
from minigrad.train import SingleProcess, StepRecord, TrainConfig, batch_loss, train, validation_loss
from parallel import simulate
from parallel.data_parallel import DataParallel

TEXT = "the quick brown fox jumps over the lazy dog, and then the dog sleeps on\n" * 20


# ------------------------------------------------------------- the loop against one that is written out by hand


class Regression(nn.Module):
    """y = x w with the mean squared error, whose gradient is 2 x^T (x w - y) / N."""

    def __init__(self):
        self.weight = nn.Parameter(np.array([2.0, -3.0, 1.0]))

    def loss(self, inputs, targets):
        difference = mg.Tensor(inputs) @ self.weight - mg.Tensor(targets)
        return (difference * difference).mean()


def regression_data():
    rng = np.random.default_rng(0)
    inputs, targets = rng.standard_normal((8, 3)) * [1.0, 3.0, 0.3], rng.standard_normal(8)
    return LabelledData(inputs, targets, inputs[:3], targets[:3])


def rates(steps, peak):
    """Linear warm-up over a tenth of the steps, at most 100; then half a cosine down to a tenth of the peak."""
    warm = min(100, steps // 10)
    for step in range(steps):
        fallen = 0.5 * (1.0 + math.cos(math.pi * (step - warm) / (steps - warm)))
        yield peak * (step + 1) / warm if step < warm else peak * (0.1 + 0.9 * fallen)


def by_hand(config, *, lr=None, weight_decay=None, clip=None):
    """AdamW on the regression, in NumPy alone; what is given replaces what the configuration says."""
    data, w = regression_data(), np.array([2.0, -3.0, 1.0])
    clip, decay = clip or config.clip, config.weight_decay if weight_decay is None else weight_decay
    first, second = np.zeros(3), np.zeros(3)
    for step, scheduled in enumerate(rates(config.steps, config.lr), start=1):
        rate = lr or scheduled
        gradient = 2.0 * data.inputs.T @ (data.inputs @ w - data.targets) / len(data)
        gradient *= min(1.0, clip / np.linalg.norm(gradient))
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        w = w * (1.0 - rate * decay)
        w = w - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return w


# The whole data set in each batch, so that shuffling changes nothing; clipping acts in the first steps only.
RECIPE = TrainConfig(steps=40, batch_size=8, lr=0.2, weight_decay=0.03, clip=5.0)


def test_training_is_adamw_with_clipping_warm_up_and_cosine():
    """Row `k-ranks-run` for its number: one formula written twice, float64."""
    model = Regression()
    records = train(SingleProcess(model), regression_data(), RECIPE)
    np.testing.assert_allclose(model.weight.data, by_hand(RECIPE), rtol=0, atol=1e-10)
    np.testing.assert_allclose([r.lr for r in records], list(rates(40, 0.2)), rtol=1e-12)
    norms = [r.grad_norm for r in records]
    assert norms[0] > RECIPE.clip > norms[-1]  # the norm before clipping is what is recorded


@pytest.mark.parametrize("change", [{"clip": 1e9}, {"weight_decay": 0.5}, {"weight_decay": 0.0}, {"lr": 0.2}])
def test_the_comparison_would_notice_a_recipe_without_one_ingredient(change):
    assert np.abs(by_hand(RECIPE, **change) - by_hand(RECIPE)).max() > 1e-3


@pytest.mark.parametrize(("steps", "warm"), [(5, 0), (50, 5), (1000, 100), (5000, 100)])
def test_the_rate_rises_for_a_tenth_of_the_steps_and_falls_to_a_tenth(steps, warm):
    config = TrainConfig(steps=steps, lr=0.3)
    found = [config.learning_rate(step) for step in range(steps + 1)]
    np.testing.assert_allclose(found[:-1], list(rates(steps, 0.3)), rtol=1e-12)  # row `same-math`
    if warm:
        np.testing.assert_allclose(found[:warm], 0.3 * np.arange(1, warm + 1) / warm, rtol=1e-12)
    assert found[warm] == pytest.approx(0.3)
    assert np.all(np.diff(found[warm:]) < 0)
    assert found[-1] == pytest.approx(0.03)


# -------------------------------------------------------------------------------------------------- validation


def looks(steps, every):
    config = TrainConfig(steps=steps, batch_size=4, validate_every=every)
    records = train(SingleProcess(Regression()), regression_data(), config)
    return records[0].validation_before is not None, [r.step for r in records if r.validation_loss is not None]


def test_validation_comes_every_so_many_steps_and_at_the_end():
    assert looks(7, every=3) == (True, [3, 6, 7])
    assert looks(6, every=2) == (True, [2, 4, 6])
    assert looks(4, every=9) == (True, [4])
    assert looks(5, every=0) == (False, [5])


def pictures(count):
    """Inputs and classes, and `count` others that differ much in their loss."""
    rng = np.random.default_rng(1)
    others = rng.standard_normal((count, 4)) * np.linspace(1.0, 20.0, count)[:, None]
    return LabelledData(rng.standard_normal((12, 4)), rng.integers(0, 3, 12), others, rng.integers(0, 3, count))


class Net(nn.Module):
    """A small classifier with dropout."""

    def __init__(self, dropout=0.0):
        rng = np.random.default_rng(2)
        self.first = nn.Linear(4, 5, rng=rng, dtype=np.float64)
        self.dropout = nn.Dropout(dropout, rng=rng)
        self.second = nn.Linear(5, 3, rng=rng, dtype=np.float64)

    def forward(self, x):
        return self.second(self.dropout(self.first(x).tanh()))


def mean_by_example(model, data, windows):
    inputs, targets = data.validation_batch(windows)
    pairs = zip(inputs, targets, strict=True)
    return np.mean([batch_loss(model, x[None], np.array([y])).item() for x, y in pairs])


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17])
def test_each_validation_example_counts_once_however_they_are_cut(count):
    """Row `same-math`: pieces of 8, of which the last may be shorter."""
    data, model = pictures(count), Net()
    assert validation_loss(SingleProcess(model), data, count) == pytest.approx(
        mean_by_example(model, data, count), rel=1e-12
    )


@pytest.mark.parametrize(("ranks", "count"), [(2, 17), (3, 10), (4, 3)])
def test_the_validation_loss_is_that_of_one_rank(ranks, count):
    """Row `k-ranks`: unequal parts, and a rank without an example."""
    data = pictures(count)

    def program(comm):
        return validation_loss(DataParallel(Net(), comm), data, count)

    expected = mean_by_example(Net(), data, count)
    assert simulate(program, ranks=ranks).results == pytest.approx([expected] * ranks, rel=1e-12)


def test_validation_is_without_dropout_and_draws_nothing():
    data, model = pictures(9), Net(dropout=0.5)
    before = model.dropout.rng.bit_generator.state
    found = validation_loss(SingleProcess(model), data, 9)
    assert model.dropout.rng.bit_generator.state == before
    assert all(module.training for module in model.modules())
    assert found == pytest.approx(mean_by_example(model.eval(), data, 9), rel=1e-12)  # row `same-math`


def test_looking_at_the_validation_data_changes_no_step():
    """Row `bits`: masks drawn by validation, or a dropout that stays off after it, would change the losses."""
    losses = []
    for every in (0, 1):
        config = TrainConfig(steps=6, batch_size=4, validate_every=every)
        with threadpool_limits(limits=1):
            losses.append([r.loss for r in train(SingleProcess(Net(dropout=0.5)), pictures(9), config)])
    assert losses[0] == losses[1]


# ------------------------------------------------------------------------------------- numbers for the reader


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_tokens_are_those_of_the_global_batch(ranks):
    data = TextData.from_text(TEXT, block_size=8)

    def program(comm):
        shape = nn.GPTConfig(data.tokenizer.vocab_size, 8, n_layer=1, n_head=1, n_embd=4)
        replica = DataParallel(nn.GPT(shape, rng=np.random.default_rng(0)), comm)
        return train(replica, data, TrainConfig(steps=2, batch_size=5, validation_windows=2))

    for records in simulate(program, ranks=ranks).results:
        assert [r.tokens for r in records] == [5 * 8, 5 * 8]


def test_a_row_of_metrics_says_what_the_record_says(tmp_path):
    records = [
        StepRecord(1, 2.5, 0.1, 3.0, seconds=0.5, tokens=60, validation_before=4.0),
        StepRecord(2, 2.0, 0.2, 1.0, seconds=0.25, tokens=60, validation_loss=2.25),
    ]
    write_metrics(tmp_path / "metrics.csv", records)
    with open(tmp_path / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["tokens_per_second"] for row in rows] == ["", "120.0", "240.0"]
    assert [row["validation_loss"] for row in rows] == ["4.000000", "", "2.250000"]
    assert [row["lr"] for row in rows] == ["", "0.1", "0.2"]


def entropy_after(tokens, context):
    """Mean of -log p(character | the `context` before it), from a table of counts."""
    grams = [tuple(tokens[i : i + context + 1]) for i in range(len(tokens) - context)]
    whole, before = Counter(grams), Counter(gram[:-1] for gram in grams)
    return -float(np.mean([math.log(whole[gram] / before[gram[:-1]]) for gram in grams]))


def text_task(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    return TextTask(Namespace(text=str(tmp_path / "text.txt"), block_size=8))


def test_the_levels_are_the_entropies_of_the_training_text(tmp_path):
    """Row `same-math`: counted in another way."""
    task = text_task(tmp_path)
    tokens = task.data.train.tolist()
    levels = task.levels()
    assert levels["uniform"] == pytest.approx(math.log(len(set(TEXT))), rel=1e-12)
    assert levels["bigram entropy"] == pytest.approx(entropy_after(tokens, 1), rel=1e-12)
    assert levels["trigram entropy"] == pytest.approx(entropy_after(tokens, 2), rel=1e-12)
    assert levels["trigram entropy"] < 0.8 * levels["bigram entropy"]


@pytest.fixture
def saved_figures(monkeypatch):
    """The figures that are saved from here on."""
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: figures.append(figure))
    return figures


def drawn_levels(figure):
    """Heights of the horizontal lines across the picture, and the texts in it."""
    (axes,) = figure.axes
    lines = [list(line.get_ydata()) for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert all(first == second for first, second in lines)
    return [first for first, _ in lines], [text.get_text() for text in axes.texts]


def test_each_level_is_a_line_with_its_name(tmp_path, saved_figures):
    records = [StepRecord(step, 3.0 / step, 0.1, 1.0, 0.1, 8) for step in (1, 2, 3)]
    loss_curve(records, tmp_path / "loss.png", title="t", levels={"uniform": 4.5, "bigram entropy": 2.25})
    heights, texts = drawn_levels(saved_figures[0])
    assert heights == [4.5, 2.25]
    assert texts == ["uniform: 4.50", "bigram entropy: 2.25"]
    loss_curve(records, tmp_path / "loss.png", title="t")
    assert drawn_levels(saved_figures[1]) == ([], [])


def test_the_command_draws_the_levels_of_its_text(tmp_path, saved_figures, capfd):
    task = text_task(tmp_path)
    tiny = ["--steps=2", "--batch-size=2", "--block-size=8", "--layers=1", "--heads=1", "--width=4"]
    assert main(["train", "--text", str(tmp_path / "text.txt"), "--out", str(tmp_path / "run"), *tiny]) == 0
    heights, texts = drawn_levels(saved_figures[0])
    assert heights == pytest.approx(list(task.levels().values()), rel=1e-12)  # row `same-math`
    assert len(heights) == 3
    for name in ("uniform", "bigram entropy", "trigram entropy"):
        assert any(re.match(f"{name}: ", text) for text in texts)
