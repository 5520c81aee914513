"""Checkpoints: whole or absent, refused before anything is changed, and proof against a kill -9 while saving."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.checkpoint import (
    ARRAYS,
    STATE,
    checkpoints,
    load_checkpoint,
    read_state,
    save_checkpoint,
    write_state,
)
from minigrad.precision import GradScaler
from minigrad.randomness import generators_of
from minigrad.serialize import load_arrays, save_arrays


def make(seed=0, width=3, dtype=np.float32):
    """A model with dropout, an optimizer with state, a scaler: after a step of each."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(2, width, rng=rng, dtype=dtype), nn.Dropout(0.5, rng=rng))
    optimizer = mg.optim.AdamW(model.parameters(), lr=0.1 * (seed + 1), betas=(0.8, 0.9))
    model(mg.Tensor(np.ones((4, 2), dtype))).sum().backward()
    optimizer.step()
    return model, {"optimizer": optimizer, "scaler": GradScaler(2.0 ** (10 + seed))}


def everything(model, parts):
    """All state as text, to be compared."""
    arrays = {name: array.tobytes().hex() for name, array in model.state_dict().items()}
    states = [generator.bit_generator.state for generator in generators_of(model)]
    moments = [{k: v.tobytes().hex() for k, v in entry.items()} for entry in parts["optimizer"].state]
    rest = parts["optimizer"].state_dict() | {"state": moments}
    return json.dumps([arrays, states, rest, parts["scaler"].state_dict()], sort_keys=True, default=str)


def test_what_is_saved_comes_back(tmp_path):
    model, parts = make(seed=0)
    saved = everything(model, parts)
    progress = {"records": [{"loss": 0.1 + 0.2}], "note": None, "cursor": (3, 4)}
    assert save_checkpoint(tmp_path / "run", 7, model, parts, progress) == tmp_path / "run" / "step-00000007"
    other, others = make(seed=1)
    assert everything(other, others) != saved
    assert load_checkpoint(tmp_path / "run", other, others) == progress
    assert everything(other, others) == saved
    drawn = [next(iter(generators_of(m))).random() for m in (model, other)]
    assert drawn[0] == drawn[1]


def test_the_newest_is_read_and_old_ones_go(tmp_path):
    for step in (1, 2, 10, 99_999_999, 100_000_000):
        write_state(tmp_path, step, {"at": step})
        assert read_state(tmp_path) == {"at": step}
    assert [path.name for path in checkpoints(tmp_path)] == ["step-99999999", "step-100000000"]
    write_state(tmp_path, 100_000_001, {"at": 0}, keep=1)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileExistsError, match="is there already"):
        write_state(tmp_path, 100_000_001, {"at": 0})
    with pytest.raises(ValueError, match="keep=0"):
        write_state(tmp_path, 1, {}, keep=0)


def test_there_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        read_state(tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        read_state(tmp_path / "nowhere")


# ---------------------------------------------------------------------------------------------- bad input


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


def change_state(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def lying_header(path):
    """A header that asks for more than there is."""
    content = path.read_bytes().replace(b'"shape":[3,2]', b'"shape":[9,9]')
    path.write_bytes(content)


DAMAGES = {
    "a bit of an array": lambda at: flip(at / ARRAYS, -1),
    "a bit of the header": lambda at: flip(at / ARRAYS, 20),
    "arrays cut short": lambda at: (at / ARRAYS).write_bytes((at / ARRAYS).read_bytes()[:-5]),
    "no arrays": lambda at: (at / ARRAYS).unlink(),
    "a header that lies": lambda at: lying_header(at / ARRAYS),
    "other arrays": lambda at: save_arrays(at / ARRAYS, {"x": np.zeros(1)}),
    "no state": lambda at: (at / STATE).unlink(),
    "state cut short": lambda at: (at / STATE).write_text((at / STATE).read_text()[:-9]),
    "state empty": lambda at: (at / STATE).write_bytes(b""),
    "state not JSON": lambda at: (at / STATE).write_bytes(b"\x80\x04\x95"),  # how a pickle begins
    "state a list": lambda at: (at / STATE).write_text("[1]"),
    "state without checksum": lambda at: (at / STATE).write_text("{}"),
    "a later format": lambda at: change_state(at / STATE, format=2),
    "another state": lambda at: change_state(at / STATE, state={}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_before_anything_is_changed(tmp_path, damage):
    at = save_checkpoint(tmp_path, 1, *make(seed=0), {})
    DAMAGES[damage](at)
    model, parts = make(seed=1)
    before = everything(model, parts)
    with pytest.raises(ValueError, match=r"checkpoint '.*step-00000001' is damaged: "):
        load_checkpoint(tmp_path, model, parts)
    assert everything(model, parts) == before


def test_a_single_changed_digit_of_the_state_is_noticed(tmp_path):
    at = save_checkpoint(tmp_path, 1, *make(seed=0), {"step": 41})
    (at / STATE).write_text((at / STATE).read_text().replace('"step": 41', '"step": 42'))
    with pytest.raises(ValueError, match="does not have the checksum"):
        read_state(tmp_path)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"width": 4}, r"'layers.0.weight' has shape \(3, 2\), the model's \(4, 2\)"),
        ({"dtype": np.float64}, "'layers.0.weight' is float32 in the checkpoint and float64 in the model"),
    ],
)
def test_another_model_is_refused_before_anything_is_changed(tmp_path, other, sentence):
    save_checkpoint(tmp_path, 1, *make(), {})
    model, parts = make(seed=1, **other)
    before = everything(model, parts)
    with pytest.raises(ValueError, match=sentence):
        load_checkpoint(tmp_path, model, parts)
    assert everything(model, parts) == before


def test_other_names_other_parts_other_generators_other_optimizers(tmp_path):
    model, parts = make()
    save_checkpoint(tmp_path, 1, model, parts, {})
    wider = nn.Sequential(*model.layers, nn.Linear(3, 1))
    with pytest.raises(ValueError, match=r"the model has 'layers.2.bias', the checkpoint has not"):
        load_checkpoint(tmp_path, wider, parts)
    bare = nn.Sequential(nn.ReLU())
    with pytest.raises(ValueError, match=r"the checkpoint has 'layers.0.bias', the model has not"):
        load_checkpoint(tmp_path, bare, parts)
    with pytest.raises(ValueError, match=r"has the states of \['optimizer', 'scaler'\], wanted are \['optimizer'\]"):
        load_checkpoint(tmp_path, model, {"optimizer": parts["optimizer"]})
    still, others = make(seed=1)
    before = everything(still, others)
    still.layers[1] = nn.ReLU()  # no generator any more
    with pytest.raises(ValueError, match="1 saved random states, the model has 0 generators"):
        load_checkpoint(tmp_path, still, others)
    still, others = make(seed=1)
    sgd = mg.optim.SGD(list(still.parameters())[:1], lr=0.5)
    with pytest.raises(ValueError, match="the checkpoint does not fit"):
        load_checkpoint(tmp_path, still, others | {"optimizer": sgd})
    assert everything(still, others) == before
    assert sgd.lr == 0.5
    state = read_state(tmp_path)
    del state["parts"]["scaler"]["factor"]  # the optimizer's fits, and is taken back when the scaler's does not
    write_state(tmp_path, 2, state)
    still, others = make(seed=1)
    with pytest.raises(ValueError, match="the checkpoint does not fit: 'factor'"):
        load_checkpoint(tmp_path, still, others)
    assert everything(still, others) == before
    write_state(tmp_path, 3, {"x": 1})
    with pytest.raises(ValueError, match="not one of a training run"):
        load_checkpoint(tmp_path, model, parts)


def test_nothing_is_unpickled_and_nothing_is_run():
    """No module that reads files can reach pickle, nor eval."""
    import minigrad.checkpoint
    import minigrad.serialize

    for module in (minigrad.checkpoint, minigrad.serialize):
        with open(module.__file__) as file:
            source = file.read()
        assert not any(word in source for word in ("pickle", "eval(", "exec(", "np.load", "allow_pickle"))


# ------------------------------------------------------------------------------------ killed while saving

SAVING = textwrap.dedent("""
    import os, sys, time
    import numpy as np
    from minigrad import checkpoint, serialize

    folder, stop_at = sys.argv[1], int(sys.argv[2])
    state = {"a": np.arange(50_000.0), "step": 1}
    checkpoint.write_state(folder, 1, state)
    calls = 0

    def stopping(real):
        '''Every call that reaches the disk: before the chosen one, say so and wait to be killed.'''
        def wrapper(*args, **kwargs):
            global calls
            calls += 1
            if calls == stop_at:
                print("here", flush=True)
                time.sleep(60)
            return real(*args, **kwargs)
        return wrapper

    for name in ("fsync", "replace", "open"):
        setattr(os, name, stopping(getattr(os, name)))
    checkpoint.shutil.rmtree = stopping(checkpoint.shutil.rmtree)
    checkpoint.write_state(folder, 2, {"a": -np.arange(50_000.0), "step": 2}, keep=1)
    print("done", calls, flush=True)
""")


def start_saving(folder, stop_at):
    command = [sys.executable, "-c", SAVING, str(folder), str(stop_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def assert_whole(folder):
    """The newest checkpoint is the first or the second, and wholly that."""
    state = read_state(folder)
    sign = {1: 1.0, 2: -1.0}[state["step"]]
    np.testing.assert_array_equal(state["a"], sign * np.arange(50_000.0))
    return state["step"]


def test_a_kill_at_every_step_of_saving_leaves_a_whole_checkpoint(tmp_path):
    process = start_saving(tmp_path / "count", 0)
    word, calls = process.communicate(timeout=30)[0].split()
    assert word == "done"
    found = []
    workers = {}
    for stop_at in range(1, int(calls) + 1):
        workers[stop_at] = start_saving(tmp_path / str(stop_at), stop_at)
        assert workers[stop_at].stdout.readline() == "here\n"
        os.kill(workers[stop_at].pid, signal.SIGKILL)
        workers[stop_at].communicate(timeout=30)
        assert workers[stop_at].returncode == -signal.SIGKILL
        found.append(assert_whole(tmp_path / str(stop_at)))
        write_state(tmp_path / str(stop_at), 3, {"a": np.zeros(1), "step": 3}, keep=1)  # the next run saves as ever
        assert [path.name for path in (tmp_path / str(stop_at)).iterdir()] == ["step-00000003"]
    assert int(calls) >= 8
    assert found == sorted(found)
    assert set(found) == {1, 2}  # killed before and behind the moment that counts


def test_kills_at_random_moments(tmp_path):
    """Save without pause, and be killed somewhere: what is there is whole."""
    endless = textwrap.dedent("""
        import sys
        import numpy as np
        from minigrad.checkpoint import write_state
        step = 0
        while True:
            step += 1
            write_state(sys.argv[1], step, {"a": np.full(100_000, float(step)), "step": step})
            if step == 1:
                print("begun", flush=True)
    """)
    rng = np.random.default_rng(0)
    for number in range(4):
        folder = tmp_path / str(number)
        process = subprocess.Popen([sys.executable, "-c", endless, str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "begun\n"
        time.sleep(float(rng.uniform(0.0, 0.1)))
        process.kill()
        process.communicate(timeout=30)
        state = read_state(folder)
        assert (state["a"] == state["step"]).all()


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path):
    """The kernel refuses to let a file grow beyond a limit, as it refuses on a full disk."""
    script = textwrap.dedent("""
        import resource, signal, sys
        import numpy as np
        from minigrad.checkpoint import write_state
        write_state(sys.argv[1], 1, {"a": np.arange(50_000.0), "step": 1})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_state(sys.argv[1], 2, {"a": -np.arange(50_000.0), "step": 2})
        except OSError as error:
            print("refused", error.errno)
    """)
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert result.stdout.startswith("refused"), result.stderr
    assert assert_whole(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_a_checkpoint_is_a_plain_folder_that_can_be_moved(tmp_path):
    save_checkpoint(tmp_path / "a", 1, *make(), {"x": 1})
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert read_state(tmp_path / "b")["progress"] == {"x": 1}
    assert set(load_arrays(tmp_path / "b" / "step-00000001" / ARRAYS)) >= {"model.layers.0.weight"}
