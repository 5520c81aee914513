"""Every rule under one battery. A new rule needs a row in RULES and a loop in naive_rules.py.

Tolerances: `same-math` and `same-math-32` of docs/conventions.md, unless a test says `bits`.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_rules import CASES, NAIVE, SETTINGS

from minigrad.optim import OPTIMIZERS, RULES
from minigrad.optim.rules import averaged_momentum, sgd
from parallel import ring_all_reduce, simulate

every_rule = pytest.mark.parametrize("name", RULES)
every_case = pytest.mark.parametrize(("name", "settings"), CASES)

SHAPE, STEPS, LR = (3, 4), 6, 0.05
LRS = [LR / t for t in range(1, STEPS + 1)]  # a rate that changes shows where it enters

# The rules whose numbers move each by itself.
ELEMENTWISE = [name for name in RULES if name not in ("adafactor", "lars", "lamb")]


def numbers(seed=0, shape=SHAPE, steps=STEPS, dtype="float64"):
    """A parameter, and a gradient for each step that nobody may write to."""
    rng = np.random.default_rng(seed)
    param = np.asarray(rng.standard_normal(shape)).astype(dtype)
    grads = [np.asarray(rng.standard_normal(shape)).astype(dtype) for _ in range(steps)]
    for grad in grads:
        grad.flags.writeable = False
    return param, grads


def run(name, param, grads, settings, state=None, first=1, lrs=None):
    state = {} if state is None else state
    for t, (grad, lr) in enumerate(zip(grads, lrs or [LR] * len(grads), strict=True), start=first):
        RULES[name](param, grad, state, lr, t, **settings)
    return state


def without_decay(name):
    return {"weight_decay": 0.0} if name in ("adamw", "lamb") else {}


def test_every_rule_has_a_loop_and_an_optimizer():
    assert list(RULES) == list(NAIVE) == list(SETTINGS) == list(OPTIMIZERS)
    for name, optimizer in OPTIMIZERS.items():
        assert optimizer.rule is RULES[name]


# ------------------------------------------------------------------------------------------ what a rule computes


@every_case
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_a_rule_is_its_paper_number_by_number(name, settings, dtype, tolerance):
    for seed in (0, 1):
        param, grads = numbers(seed, dtype=dtype)
        expected = np.array(NAIVE[name](param.tolist(), [grad.tolist() for grad in grads], LRS, **settings))
        run(name, param, grads, settings, lrs=LRS)
        np.testing.assert_allclose(param, expected, rtol=0.0, atol=tolerance * np.abs(expected).max())


@every_case
def test_a_rule_writes_the_parameter_and_its_state_and_nothing_else(name, settings):
    whole = np.ones((6, 8), np.float32)
    param, grads = whole[::2, 1:5], numbers(dtype="float32")[1]  # every other row, four columns
    before = param.copy()
    state = run(name, param, grads[:5], settings)  # an odd number: Lion's steps of equal length cannot cancel
    assert np.all(param != before)
    assert all(array.dtype == np.float32 for array in state.values())
    assert not any(np.shares_memory(array, other) for array in state.values() for other in (param, *grads))
    param[...] = 1.0
    np.testing.assert_array_equal(whole, 1.0)


@every_case
def test_a_rule_continues_from_its_saved_state(name, settings):
    """`bits`: all that a rule remembers is in `state` and `t`."""
    param, grads = numbers()
    again = param.copy()
    run(name, param, grads, settings)
    state = run(name, again, grads[:3], settings)
    saved = {key: array.copy() for key, array in state.items()}
    run(name, again, grads[3:], settings, saved, first=4)
    np.testing.assert_array_equal(again, param)


@every_rule
@given(shape=st.sampled_from([(), (1,), (5,), (1, 1), (2, 3), (2, 1, 3), (4, 2, 2)]), seed=st.integers(0, 99))
def test_any_shape(name, shape, seed):
    param, grads = numbers(seed, shape)
    before = param.copy()
    run(name, param, grads[:3], {})  # an odd number: Lion's steps of equal length cannot cancel
    assert param.shape == shape
    assert np.all(np.isfinite(param))
    assert np.all(param != before)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_shard_moves_as_in_the_whole(name):
    """`bits`."""
    param, grads = numbers(shape=(7,))
    parts = [param[:3].copy(), param[3:].copy()]
    run(name, param, grads, {})
    run(name, parts[0], [grad[:3] for grad in grads], {})
    run(name, parts[1], [grad[3:] for grad in grads], {})
    np.testing.assert_array_equal(np.concatenate(parts), param)


# ------------------------------------------------------------------------------------------------- zero gradients


@every_rule
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_zero_gradient_moves_nothing_at_rest(name, dtype):
    """No 0/0 either: warnings are errors here."""
    for shape in ((), (3,), (3, 4)):
        param = numbers(shape=shape, dtype=dtype)[0]
        before = param.copy()
        run(name, param, [np.zeros_like(param)] * 3, without_decay(name))
        np.testing.assert_array_equal(param, before)


@pytest.mark.parametrize(("name", "coasts"), [
    ("sgd", False), ("averaged_momentum", True), ("adagrad", False), ("rmsprop", False), ("adam", True),
    ("adamw", True), ("adafactor", False), ("lion", True), ("lars", True), ("lamb", True),
])  # fmt: skip
def test_what_remembers_a_direction_goes_on_without_a_gradient(name, coasts):
    param, grads = numbers()
    state = run(name, param, grads, without_decay(name))
    before = param.copy()
    run(name, param, [np.zeros(SHAPE)], without_decay(name), state, first=STEPS + 1)
    assert np.all(param != before) if coasts else np.all(param == before)


@pytest.mark.parametrize("name", ["adamw", "lion"])
def test_decoupled_decay_shrinks_without_a_gradient(name):
    param = np.ones(3)
    run(name, param, [np.zeros(3)], {"weight_decay": 0.5})
    np.testing.assert_allclose(param, 1.0 - LR * 0.5, rtol=1e-12)


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_parameter_that_starts_at_zero_is_not_held_there(name):
    param = np.zeros(3)
    run(name, param, [np.ones(3)], {})
    assert np.all(param < 0.0)


# ---------------------------------------------------------------------------------------------------- first steps


def first_step(name, grad, settings, param=None):
    """How far one step goes, in units of the learning rate."""
    param = np.zeros_like(grad) if param is None else param
    before = param.copy()
    run(name, param, [grad], settings)
    return (before - param) / LR


GRADIENT = np.array([1e-2, -5.0, 100.0])  # far above every eps


@pytest.mark.parametrize(("name", "settings", "size"), [
    ("adam", {}, 1.0),
    ("adamw", {}, 1.0),
    ("adagrad", {}, 1.0),
    ("lion", {}, 1.0),
    ("adafactor", {"relative_step": False}, 1.0),
    ("rmsprop", {}, 10.0),  # 1 / sqrt(1 - alpha)
    ("adam", {"bias_correction": False}, math.sqrt(10)),  # (1 - beta1) / sqrt(1 - beta2)
])  # fmt: skip
def test_the_first_step_does_not_depend_on_the_size_of_the_gradient(name, settings, size):
    """Up to eps / |grad|, times 32 without correction; 3e-5 here."""
    np.testing.assert_allclose(first_step(name, GRADIENT, settings), size * np.sign(GRADIENT), rtol=2e-4)


@pytest.mark.published
def test_the_first_step_of_adam_is_lr_and_would_be_3_16_lr_uncorrected():
    gradient = np.array([1.0])
    assert first_step("adam", gradient, {})[0] == pytest.approx(1.0, rel=1e-7)
    assert first_step("adam", gradient, {"bias_correction": False})[0] == pytest.approx(3.16, abs=0.005)


@pytest.mark.parametrize(("name", "settings", "factor"), [
    ("sgd", {}, 1.0), ("sgd", {"momentum": 0.9}, 1.0), ("sgd", {"momentum": 0.9, "nesterov": True}, 1.9),
    ("averaged_momentum", {}, 0.1),
])  # fmt: skip
def test_the_first_step_along_the_gradient(name, settings, factor):
    np.testing.assert_allclose(first_step(name, GRADIENT, settings), factor * GRADIENT, rtol=1e-12)


@pytest.mark.parametrize(("name", "settings", "factor"), [
    ("lars", {"trust_coefficient": 0.02}, 0.02), ("lars", {"trust_coefficient": 0.02, "weight_decay": 0.5}, None),
    ("lamb", {}, 1.0), ("lamb", {"weight_decay": 0.5}, 1.0),
    ("adafactor", {}, 0.05 / math.sqrt(3)),  # lr, in each of three numbers a root mean square's length
])  # fmt: skip
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_first_step_in_proportion_to_the_parameter(name, settings, factor, scale):
    param = np.array([3.0, -4.0, 12.0])  # of length 13
    grad = scale * np.array([1.0, 2.0, -2.0])
    if factor is None:  # LARS with decay: trust |w| / (|g| + decay |w|) |g + decay w|
        factor = 0.02 * np.linalg.norm(grad + 0.5 * param) / (3.0 * scale + 0.5 * 13.0)
    if name == "adafactor":
        factor *= math.sqrt(3) / LR  # its first update is the sign: root mean square 1
    step = np.linalg.norm(first_step(name, grad, settings, param.copy()))
    assert step == pytest.approx(factor * 13.0, rel=1e-12)


# --------------------------------------------------------------------------------------- the two forms of momentum


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_averaged_momentum_is_heavy_ball_with_a_larger_rate(beta, weight_decay):
    """lr_averaged = lr_heavy_ball / (1 - beta), also while the rate changes."""
    heavy, grads = numbers()
    averaged = heavy.copy()
    one, two = {}, {}
    for t, grad in enumerate(grads, start=1):
        lr = LR / t
        sgd(heavy, grad, one, lr, t, momentum=beta, weight_decay=weight_decay)
        averaged_momentum(averaged, grad, two, lr / (1 - beta), t, beta=beta, weight_decay=weight_decay)
    np.testing.assert_allclose(averaged, heavy, rtol=0.0, atol=1e-12 * np.abs(heavy).max())
    if beta:
        np.testing.assert_allclose(two["momentum"], (1 - beta) * one["momentum"], rtol=1e-12, atol=1e-12)


def test_with_one_rate_the_two_forms_differ_by_a_factor_of_ten():
    """Constant gradient: after many steps heavy ball moves by 10 lr a step, the average by lr."""
    heavy, averaged = np.zeros(1), np.zeros(1)
    ones = [np.ones(1)] * 300
    run("sgd", heavy, ones, {"momentum": 0.9})
    run("averaged_momentum", averaged, ones, {})
    assert heavy[0] / averaged[0] == pytest.approx(10.0, rel=1e-12)


# ----------------------------------------------------------------------------------------------- norms from outside


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_shard_that_is_told_the_norm_moves_as_in_the_whole(name, ranks):
    """Row `k-ranks-run` of docs/conventions.md."""
    param, grads = numbers(shape=(8,))

    def train(comm, told):
        rank = comm.Get_rank()

        def norm(part):
            total = np.array([np.vdot(part, part)])
            ring_all_reduce(comm, total)
            return math.sqrt(total[0])

        mine = np.array_split(param, ranks)[rank].copy()
        shards = [np.array_split(grad, ranks)[rank] for grad in grads]
        run(name, mine, shards, {"weight_decay": 0.1, **({"norm": norm} if told else {})})
        return mine

    whole = param.copy()
    run(name, whole, grads, {"weight_decay": 0.1})
    told, untold = (np.concatenate(simulate(train, ranks, args=(told,)).results) for told in (True, False))
    np.testing.assert_allclose(told, whole, rtol=0.0, atol=1e-10)
    assert ranks == 1 or np.abs(untold - whole).max() > 1e-6


# ------------------------------------------------------------------------------------------------------ peculiarities


def test_centered_rmsprop_survives_a_constant_gradient():
    """The mean square minus the squared mean is then rounding, and rounding may be negative."""
    param = np.zeros(1000)
    constant = np.random.default_rng(0).standard_normal(1000)
    state = run("rmsprop", param, [constant] * 500, {"centered": True, "alpha": 0.9})
    assert np.any(state["v"] < state["mean"] ** 2)
    assert np.all(np.isfinite(param))


def test_adafactor_is_exact_for_squares_of_rank_one():
    """Then its step is that of a rule which keeps all squares: the sign of the gradient, at first."""
    grad = np.outer([1.0, -2.0, 4.0], [3.0, 0.5, -1.0, 8.0])
    np.testing.assert_allclose(first_step("adafactor", grad, {"relative_step": False}), np.sign(grad), rtol=1e-12)


def test_adafactor_clips_an_update_that_outgrows_its_past():
    """After a thousand small gradients a large one is divided by a small root; the clip brings it back to d."""
    param = np.zeros((2, 3))
    small = [1e-3 * grad for grad in numbers(shape=(2, 3), steps=1000)[1]]
    state = run("adafactor", param, small, {"relative_step": False})
    before = param.copy()
    run("adafactor", param, [np.ones((2, 3))], {"relative_step": False, "d": 0.5}, state, first=1001)
    assert np.sqrt(np.mean(((param - before) / LR) ** 2)) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("t", [1, 25, 10_000])
def test_adafactor_takes_relative_steps(t):
    """min(lr, 1 / sqrt(t)) times the root mean square of the parameter, and no less than eps[1] of it."""
    for size, effective in ((2.0, 2.0), (1e-9, 1e-3)):
        param = np.full((2, 3), size)
        state = {"row": np.ones((2, 1)), "col": np.ones((1, 3))}
        RULES["adafactor"](param, np.ones((2, 3)), state, 0.5, t)
        np.testing.assert_allclose(size - param, min(0.5, 1 / math.sqrt(t)) * effective, rtol=1e-6)
