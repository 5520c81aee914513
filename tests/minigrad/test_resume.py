"""A run that was stopped and went on ends with the same bits as one that was not. Tolerances: docs/conventions.md."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minigrad.checkpoint import checkpoints
from minigrad.data import TextData
from minigrad.nn import GPT, GPTConfig
from minigrad.precision import GradScaler
from minigrad.recompute import recompute_calls
from minigrad.train import Checkpoints, SingleProcess, TrainConfig, TrainingDivergedError, train
from minigrad.train import loop as training_loop
from parallel import DataParallel, simulate

CONFIG = TrainConfig(steps=9, batch_size=6, lr=1e-2, validate_every=2, validation_windows=4)


@pytest.fixture(autouse=True)
def _one_blas_thread():
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="module")
def data():
    return TextData.from_text("the quick brown fox jumps over the lazy dog\n" * 20, block_size=16)


def gpt(data, dropout=0.2, seed=0, dtype=np.float32):
    shape = GPTConfig(data.tokenizer.vocab_size, 16, n_layer=2, n_head=2, n_embd=16, dropout=dropout)
    return GPT(shape, rng=np.random.default_rng(seed), dtype=dtype)


def bits(model):
    return {name: array.tobytes() for name, array in model.state_dict().items()}


def numbers(records):
    """The records without the wall time."""
    return [replace(record, seconds=0.0) for record in records]


def stopped_and_resumed(data, config, folder, stop, model=gpt):
    """Train to `stop` in one model, go on in another that begins elsewhere; its parameters and records."""

    class Stopped(Exception):
        pass

    def stop_there(record):
        if record.step == stop + 1:
            raise Stopped

    with pytest.raises(Stopped):
        train(SingleProcess(model(data)), data, config, stop_there, checkpoints=Checkpoints(folder, every=stop))
    other = model(data, seed=99)
    seen = []
    records = train(
        SingleProcess(other), data, config, lambda r: seen.append(r.step), checkpoints=Checkpoints(folder, 0, True)
    )
    assert seen == list(range(stop + 1, config.steps + 1))
    return other, records


@pytest.mark.parametrize("stop", [1, 4, 5, 8])
@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_resumed_run_is_bit_equal_to_an_unbroken_one(data, tmp_path, stop, precision):
    """Row `bits`. With dropout, several epochs (7 batches each), schedule, loss scaling, validation in between."""
    config = replace(CONFIG, precision=precision, accumulate=2)
    whole = gpt(data)
    records = train(SingleProcess(whole), data, config)
    other, resumed = stopped_and_resumed(data, config, tmp_path, stop)
    assert numbers(resumed) == numbers(records)
    assert bits(other) == bits(whole)


def test_saving_changes_nothing(data, tmp_path):
    with_, without = gpt(data), gpt(data)
    train(SingleProcess(with_), data, CONFIG, checkpoints=Checkpoints(tmp_path, every=2))
    train(SingleProcess(without), data, CONFIG)
    assert bits(with_) == bits(without)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000008", "step-00000009"]


def test_recomputation_changes_no_bit_of_a_run(data):
    plain, saving = gpt(data), gpt(data)
    for block in saving.blocks:
        recompute_calls(block)
    found = [train(SingleProcess(model), data, CONFIG) for model in (plain, saving)]
    assert numbers(found[0]) == numbers(found[1])
    assert bits(plain) == bits(saving)


def test_a_finished_run_can_be_made_longer(data, tmp_path):
    train(SingleProcess(gpt(data)), data, CONFIG, checkpoints=Checkpoints(tmp_path, every=9))
    longer = replace(CONFIG, steps=11)
    records = train(SingleProcess(gpt(data)), data, longer, checkpoints=Checkpoints(tmp_path, 0, True))
    assert [record.step for record in records] == list(range(1, 12))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lr": 0.5}, r"lr=0.5 differs from the checkpoint's, 0.01"),
        ({"batch_size": 5}, "batch_size=5 differs from the checkpoint's, 6"),
        ({"seed": 1}, "seed=1 differs"),
        ({"precision": "bfloat16"}, "precision=bfloat16 differs"),
        ({"steps": 3}, "the checkpoint has 9 steps behind it, steps=3"),
    ],
)
def test_another_run_is_refused_before_anything_is_changed(data, tmp_path, changes, sentence):
    train(SingleProcess(gpt(data)), data, CONFIG, checkpoints=Checkpoints(tmp_path, every=9))
    model = gpt(data, seed=3)
    before = bits(model)
    with pytest.raises(ValueError, match=sentence):
        train(SingleProcess(model), data, replace(CONFIG, **changes), checkpoints=Checkpoints(tmp_path, 0, True))
    other_data = TextData.from_text("the quick brown fox jumps over the lazy dog\n" * 25, block_size=16)
    with pytest.raises(ValueError, match="was trained on 49 examples, now there are 61"):
        train(SingleProcess(model), other_data, CONFIG, checkpoints=Checkpoints(tmp_path, 0, True))
    assert bits(model) == before
    with pytest.raises(ValueError, match="float32 in the checkpoint and float64 in the model"):
        train(SingleProcess(gpt(data, dtype=np.float64)), data, CONFIG, checkpoints=Checkpoints(tmp_path, 0, True))


def test_several_ranks_save_once_and_go_on(data, tmp_path):
    """Row `bits`, in the simulated world: two ranks, stopped after 4 steps of 9."""

    def program(comm, folder, stop, resume):
        # Every rank begins elsewhere; rank 0's parameters count.
        replica = DataParallel(gpt(data, dropout=0.0, seed=comm.Get_rank()), comm)
        run = training_loop.Run(replica, data, CONFIG)
        if resume:
            run.restore(folder)
        for record in run.steps():
            if record.step == stop:
                break
        run.save(folder, {})
        return bits(replica.model), numbers(run.records)

    whole = simulate(program, ranks=2, args=(tmp_path / "whole", 9, False)).results
    simulate(program, ranks=2, args=(tmp_path / "parts", 4, False))
    resumed = simulate(program, ranks=2, args=(tmp_path / "parts", 9, True)).results
    assert resumed == whole
    assert len(checkpoints(tmp_path / "parts")) == 2


def test_dropout_on_several_ranks_cannot_be_saved(data, tmp_path):
    def program(comm):
        replica = DataParallel(gpt(data), comm)
        train(replica, data, CONFIG, checkpoints=Checkpoints(tmp_path, every=1))

    with pytest.raises(ValueError, match="a model with dropout cannot be saved while it trains on 2 ranks"):
        simulate(program, ranks=2)


# -------------------------------------------------------------------------------------------- loss scaling


def test_float16_leaves_out_a_step_that_overflows_and_goes_on(data, monkeypatch):
    monkeypatch.setattr(training_loop, "GradScaler", lambda: GradScaler(2.0**40))
    model = gpt(data, dropout=0.0)
    before = bits(model)
    seen = []
    config = replace(CONFIG, precision="float16", steps=40, validate_every=0)
    records = train(SingleProcess(model), data, config, lambda _: seen.append(bits(model) == before))
    overflowed = [np.isinf(record.grad_norm) for record in records]
    first_good = overflowed.index(False)
    assert 5 < first_good < 30
    assert seen[first_good - 1]
    assert not seen[first_good]
    assert records[-1].loss < records[0].loss - 0.1


def test_float16_gives_up_where_scaling_cannot_help(data, monkeypatch):
    monkeypatch.setattr(training_loop, "GradScaler", lambda: GradScaler(1.0))
    model = gpt(data, dropout=0.0)
    model.norm.weight.data[...] = 1e30
    with pytest.raises(TrainingDivergedError, match="diverged at step 1"):
        train(SingleProcess(model), data, replace(CONFIG, precision="float16"))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_short_numbers_learn_as_well(data, precision):
    config = replace(CONFIG, steps=60, validate_every=0)
    final = [
        train(SingleProcess(gpt(data, dropout=0.0)), data, replace(config, precision=name))[-1].validation_loss
        for name in ("float32", precision)
    ]
    assert final[0] < 2.0
    assert final[1] == pytest.approx(final[0], rel=0.05)
