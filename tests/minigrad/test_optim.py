"""The front around the rules: parameter groups, learning rate, state, refusals."""

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad.optim import OPTIMIZERS, SGD, Adafactor, Adam, AdamW

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def parameters(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [mg.nn.Parameter(rng.standard_normal(shape)) for shape in shapes]


def descend(optimizer, steps=1):
    """Steps on the sum of fourth powers of all parameters."""
    for _ in range(steps):
        optimizer.zero_grad()
        for parameter in optimizer.params:
            (parameter**4).sum().backward()
        optimizer.step()


# ------------------------------------------------------------------------------------------------------ one group


@every_optimizer
def test_every_optimizer_descends(name):
    params = parameters((3, 4), 5, ())
    optimizer = OPTIMIZERS[name](params, lr=1e-2)
    before = [float((p.data**4).sum()) for p in params]
    descend(optimizer, steps=50)
    for parameter, loss in zip(params, before, strict=True):
        assert (parameter.data**4).sum() < loss
    assert optimizer.steps == [50] * 3


def test_a_parameter_without_gradient_stays():
    used, unused, empty = parameters(3, 3, (0, 3))
    before = unused.data.copy()
    optimizer = AdamW([used, unused, empty], lr=0.1)
    (used * used).sum().backward()
    (empty * empty).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(unused.data, before)
    assert optimizer.steps == [1, 0, 0]
    assert optimizer.state[1] == {}
    optimizer.zero_grad()
    assert used.grad is None


def test_a_step_counts_as_a_write_to_the_parameter():
    (parameter,) = parameters(3)
    optimizer = SGD([parameter], lr=0.1)
    version = parameter.version[0]
    descend(optimizer)
    assert parameter.version[0] == version + 1


def test_the_learning_rate_can_be_set_between_steps():
    (parameter,) = parameters(3)
    optimizer = SGD([parameter], lr=0.1)
    optimizer.lr = 0.0
    assert optimizer.param_groups[0]["lr"] == optimizer.lr == 0.0
    before = parameter.data.copy()
    descend(optimizer)
    np.testing.assert_array_equal(parameter.data, before)
    with pytest.raises(ValueError, match="lr=nan must not"):
        optimizer.lr = float("nan")
    assert optimizer.lr == 0.0


def test_a_numpy_learning_rate_is_a_number_like_any_other():
    """Row `bits` of docs/conventions.md: NumPy would compute float32 times np.float64 in float64."""
    start = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    plain, numpys = mg.nn.Parameter(start.copy()), mg.nn.Parameter(start.copy())
    descend(Adam([plain], lr=0.1), steps=3)
    descend(Adam([numpys], lr=np.float64(0.1)), steps=3)
    assert numpys.data.dtype == np.float32
    np.testing.assert_array_equal(numpys.data, plain.data)


# ---------------------------------------------------------------------------------------------------------- groups


def test_groups_move_as_if_each_had_its_own_optimizer():
    """Row `bits` of docs/conventions.md."""
    together, apart = parameters((2, 3), 3, 4), parameters((2, 3), 3, 4)
    optimizer = AdamW(
        [{"params": together[:2], "weight_decay": 0.5}, {"params": together[2], "lr": 0.3, "betas": (0.5, 0.9)}], lr=0.1
    )
    others = [AdamW(apart[:2], lr=0.1, weight_decay=0.5), AdamW(apart[2:], lr=0.3, betas=(0.5, 0.9))]
    descend(optimizer, steps=3)
    for other in others:
        descend(other, steps=3)
    for one, two in zip(together, apart, strict=True):
        np.testing.assert_array_equal(one.data, two.data)


def test_groups_hold_every_hyperparameter():
    first, second, third = parameters(2, 2, 2)
    optimizer = SGD([{"params": [first]}, {"params": [second], "lr": 0.5}], lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": iter([third]), "momentum": 0.0})
    found = [(group["lr"], group["momentum"], group["nesterov"]) for group in optimizer.param_groups]
    assert found == [(0.1, 0.9, False), (0.5, 0.9, False), (0.1, 0.0, False)]
    assert [p is q for p, q in zip(optimizer.params, (first, second, third), strict=True)] == [True] * 3
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = third.data.copy()
    descend(optimizer)
    np.testing.assert_array_equal(third.data, before)


def test_several_groups_have_no_single_learning_rate():
    optimizer = SGD([{"params": p} for p in parameters(2, 2)], lr=0.1)
    with pytest.raises(ValueError, match="there are 2"):
        _ = optimizer.lr
    with pytest.raises(ValueError, match="there are 2"):
        optimizer.lr = 0.1


def test_a_refused_group_leaves_nothing_behind():
    first, second = parameters(2, 2)
    optimizer = SGD([first], lr=0.1)
    refused = ({"params": [second], "momentum": 2.0}, {"params": [second, first]}, {"params": [second], "beta": 0.1})
    for group in refused:
        with pytest.raises(ValueError):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == len(optimizer.params) == len(optimizer.state) == len(optimizer.steps) == 1


@pytest.mark.parametrize(("make", "sentence"), [
    (lambda: SGD([]), "no parameters"),
    (lambda: SGD([{"params": []}]), "group 0 has no parameters"),
    (lambda: SGD(parameters(2), lr=-1), "lr=-1 must not be negative"),
    (lambda: SGD(parameters(2), lr="fast"), "lr='fast'"),
    (lambda: SGD(parameters(2), lr=True), "lr=True"),
    (lambda: SGD(parameters(2), lr=float("inf")), "lr=inf"),
    (lambda: SGD(parameters(2), nesterov=True), "momentum > 0"),
    (lambda: SGD([{"params": parameters(2), "momentum": 0.0}], momentum=0.9, nesterov=True), "momentum > 0"),
    (lambda: SGD(parameters(2), momentum=1.0), r"momentum=1.0 must lie in \[0, 1\)"),
    (lambda: SGD(parameters(2), weight_decay=-0.1), "weight_decay=-0.1"),
    (lambda: Adam(parameters(2), betas=(0.9, 1.0)), r"betas=\(0.9, 1.0\) must be two"),
    (lambda: Adam(parameters(2), betas=0.9), "betas=0.9 must be two"),
    (lambda: Adam(parameters(2), eps=-1e-8), "eps=-1e-08"),
    (lambda: Adam(parameters(2), eps=(1e-8, 1e-3)), "eps="),
    (lambda: Adam(parameters(2), bias_correction=1), "bias_correction=1 must be True or False"),
    (lambda: Adafactor(parameters(2), eps=1e-8), "eps=1e-08 must be two"),
    (lambda: Adafactor(parameters(2), d=0.0), "d=0.0 must be positive"),
    (lambda: SGD([{"params": parameters(2), "momentun": 0.1}]), "'momentun' is no hyperparameter of SGD"),
    (lambda: SGD(parameters(2) * 2), r"shape \(2,\) was given to the optimizer twice"),
    (lambda: SGD([parameters(2)[0] * 2.0]), "result of an operation"),
])  # fmt: skip
def test_bad_input(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize(("params", "sentence"), [
    (parameters(2)[0], "single tensor"),
    ([np.zeros(3)], r"params\[0\] is a ndarray"),
    (["weight"], r"params\[0\] is a str"),
    ([*parameters(2), {"params": parameters(2)}], "must be a dict with 'params'"),
    ([{"param": parameters(2)}], "must be a dict with 'params'"),
])  # fmt: skip
def test_what_is_no_parameter(params, sentence):
    with pytest.raises(TypeError, match=sentence):
        SGD(params)


# ----------------------------------------------------------------------------------------------------------- state


def through_json(state):
    """Numbers as a checkpoint stores them, beside the arrays."""
    rest = json.loads(json.dumps({key: value for key, value in state.items() if key != "state"}))
    return {**rest, "state": [{name: array.copy() for name, array in entry.items()} for entry in state["state"]]}


@every_optimizer
def test_an_optimizer_continues_from_its_state(name):
    """Row `bits` of docs/conventions.md; a parameter without gradient, and groups, included."""
    make = OPTIMIZERS[name]

    def build(params, **settings):
        return make([{"params": params[:1]}, {"params": params[1:], "lr": 0.02}], lr=0.01, **settings)

    shapes = ((3, 4), 5)
    unbroken = build(parameters(*shapes))
    descend(unbroken, steps=4)

    first = build(parameters(*shapes))
    descend(first, steps=2)
    resumed_params = parameters(*shapes, seed=1)
    for new, old in zip(resumed_params, first.params, strict=True):
        new.data[...] = old.data
    resumed = build(resumed_params, weight_decay=0.25)
    resumed.load_state_dict(through_json(first.state_dict()))
    assert resumed.state_dict()["param_groups"] == first.state_dict()["param_groups"]  # tuples are tuples again
    descend(resumed, steps=2)
    for one, two in zip(unbroken.params, resumed.params, strict=True):
        np.testing.assert_array_equal(one.data, two.data)


def test_a_loaded_state_is_a_copy():
    first, second = AdamW(parameters(3)), AdamW(parameters(3))
    descend(first)
    second.load_state_dict(first.state_dict())
    descend(first)
    assert second.steps == [1]
    assert not np.array_equal(first.state[0]["m"], second.state[0]["m"])


def test_a_state_from_before_the_first_step():
    first, second = AdamW(parameters(3)), AdamW(parameters(3))
    descend(second)
    second.load_state_dict(first.state_dict())
    assert second.steps == [0]
    assert second.state == [{}]


def delete(key):
    return lambda state: state.pop(key)


def put(value, *path):
    """Change one place of a nested state."""

    def change(state):
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


@pytest.mark.parametrize(("change", "sentence"), [
    *[(delete(key), f"no entry '{key}'") for key in ("optimizer", "param_groups", "steps", "state")],
    (put("SGD", "optimizer"), "state is of SGD, the optimizer is AdamW"),
    (put(None, "state"), "'state' of the optimizer state must be a list, not NoneType"),
    (put(7, "param_groups", 0), "has 7 where a dict belongs"),
    (lambda state: state["param_groups"].pop(), "for 1 parameter groups, the optimizer has 2"),
    (lambda state: state["param_groups"][1].pop("eps"), "group 1: 'eps'"),
    (put(0.5, "param_groups", 1, "momentum"), "group 1: 'momentum'"),
    (put([0, 1], "param_groups", 1, "params"), "group 1: state is for 2 parameters, the optimizer has 1"),
    (put((0.9, 1.0), "param_groups", 1, "betas"), "betas="),
    (put(-0.1, "param_groups", 0, "lr"), "lr=-0.1"),
    (lambda state: state["steps"].pop(), "2 counts of steps for 3"),
    (put(-1, "steps", 2), "steps=-1 of parameter 2"),
    (put(1.5, "steps", 2), "steps=1.5 of parameter 2"),
    (lambda state: state["state"].pop(), "state is for 2 parameters, the optimizer has 3"),
    (lambda state: state["state"][2].pop("v"), "parameter 2 lacks 'v'"),
    (put({}, "state", 2), "parameter 2 lacks 'm'"),
    (put(np.zeros(2), "state", 2, "w"), "parameter 2 has an unexpected 'w'"),
    (put(0, "steps", 2), "parameter 2 has an unexpected 'm'"),
    (put(np.zeros(3), "state", 2, "v"), r"'v' of parameter 2 has shape \(3,\), not \(2,\)"),
    (put(np.zeros(2, np.float32), "state", 2, "v"), "'v' of parameter 2 has dtype float32, not float64"),
])  # fmt: skip
def test_a_state_that_does_not_fit_is_refused_before_anything_changes(change, sentence):
    def build(seed):
        matrix, vector, last = parameters((3, 4), 3, 2, seed=seed)
        return AdamW([{"params": [matrix, vector]}, {"params": [last], "lr": 0.5}], lr=0.1 * (seed + 1))

    source, target = build(0), build(1)
    descend(source, steps=2)
    descend(target)
    state = through_json(source.state_dict())
    change(state)
    before = json.dumps(through_json(target.state_dict()), default=np.ndarray.tolist)
    with pytest.raises(ValueError, match=sentence):
        target.load_state_dict(state)
    assert json.dumps(through_json(target.state_dict()), default=np.ndarray.tolist) == before
    target.load_state_dict(through_json(source.state_dict()))  # and the unchanged state does fit


def test_adafactor_states_are_checked_by_their_own_shapes():
    one, other = Adafactor(parameters((3, 4))), Adafactor(parameters((4, 3)))
    descend(one)
    with pytest.raises(ValueError, match=r"shape \(1, 4\), not \(1, 3\)|shape \(3, 1\), not \(4, 1\)"):
        other.load_state_dict(one.state_dict())
