"""Schedules by their formulas, clipping by its geometry, averaging by its recursion."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.optim import (
    ExponentialMovingAverage,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    schedules,
)

RNG = np.random.default_rng(0)


def parameters(*shapes):
    return [mg.nn.Parameter(RNG.standard_normal(shape)) for shape in shapes]


# ------------------------------------------------------------------------------------------------------- schedules


def test_warmup_cosine_by_its_formula():
    def schedule(step):
        return mg.optim.warmup_cosine(step, peak=2.0, warmup_steps=10, total_steps=110, final=0.2)

    assert schedule(0) == pytest.approx(0.2)
    assert schedule(9) == schedule(10) == 2.0
    assert schedule(60) == pytest.approx(1.1)
    assert schedule(110) == schedule(1000) == 0.2
    for step in range(10, 110):
        assert schedule(step) == pytest.approx(1.1 + 0.9 * math.cos(math.pi * (step - 10) / 100), rel=1e-12)


def test_warmup_cosine_without_one_of_its_parts():
    assert schedules.warmup_cosine(0, peak=2.0, warmup_steps=0, total_steps=0, final=0.5) == 0.5
    for step in range(8):
        only_fall = schedules.warmup_cosine(step, peak=2.0, warmup_steps=0, total_steps=5)
        assert only_fall == schedules.cosine(step, peak=2.0, total_steps=5)
        only_rise = schedules.warmup_cosine(step, peak=2.0, warmup_steps=5, total_steps=5, final=2.0)
        assert only_rise == schedules.linear_warmup(step, peak=2.0, warmup_steps=5)


def test_staircase_and_exponential_agree_at_the_edges_of_the_stairs():
    for step in range(0, 40, 5):
        stair = schedules.step_decay(step, lr=0.3, step_size=5, gamma=0.5)
        assert stair == pytest.approx(schedules.exponential(step, lr=0.3, gamma=0.5**0.2), rel=1e-12)
        assert schedules.step_decay(step + 4, lr=0.3, step_size=5, gamma=0.5) == stair


@given(step=st.integers(0, 100), total=st.integers(1, 60), peak=st.floats(1e-4, 10), ratio=st.floats(0, 1))
def test_cosine_never_rises_and_stays_within_its_ends(step, total, peak, ratio):
    here, there = (schedules.cosine(s, peak=peak, total_steps=total, final=ratio * peak) for s in (step, step + 1))
    assert there <= here * (1 + 1e-12)
    assert ratio * peak * (1 - 1e-12) <= here <= peak * (1 + 1e-12)


def test_constant_is_constant():
    assert {schedules.constant(step, lr=0.2) for step in (0, 1, 1000)} == {0.2}


@pytest.mark.parametrize(("batch_size", "lr"), [(256, 0.1), (8192, 3.2), (64, 0.025)])
def test_linear_scaling_as_in_goyal(batch_size, lr):
    assert schedules.linear_scaling(0.1, batch_size=batch_size) == pytest.approx(lr, rel=1e-12)


@pytest.mark.parametrize(("call", "sentence"), [
    (lambda: schedules.constant(-1, lr=0.1), "step=-1"),
    (lambda: schedules.step_decay(-1, lr=0.1, step_size=1), "step=-1"),
    (lambda: schedules.step_decay(0, lr=0.1, step_size=0), "step_size=0"),
    (lambda: schedules.exponential(-1, lr=0.1, gamma=0.5), "step=-1"),
    (lambda: schedules.cosine(-1, peak=0.1, total_steps=3), "step=-1"),
    (lambda: schedules.cosine(0, peak=0.1, total_steps=0), "total_steps=0"),
    (lambda: schedules.linear_warmup(-1, peak=0.1, warmup_steps=3), "step=-1"),
    (lambda: schedules.linear_warmup(0, peak=0.1, warmup_steps=-3), "warmup_steps=-3"),
    (lambda: schedules.warmup_cosine(-1, peak=1.0, warmup_steps=1, total_steps=4), "step=-1"),
    (lambda: schedules.warmup_cosine(0, peak=1.0, warmup_steps=5, total_steps=4), "warmup_steps=5"),
    (lambda: schedules.linear_scaling(0.1, batch_size=0), "batch_size=0"),
    (lambda: schedules.linear_scaling(0.1, batch_size=1, base_batch_size=0), "base_batch_size=0"),
])  # fmt: skip
def test_schedules_refuse(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


# -------------------------------------------------------------------------------------------------------- clipping


def test_clipping_by_norm_scales_all_gradients_by_one_factor():
    first, second = parameters(3, (2, 2))
    unused = parameters(2)[0]
    (first.sum() * 3 + second.sum() * 4).backward()
    norm = clip_grad_norm_(iter([first, second, unused]), 1.0)
    assert norm == pytest.approx(math.sqrt(3 * 9 + 4 * 16))
    assert get_total_norm([first, second, unused]) == pytest.approx(1.0, rel=1e-12)
    assert first.grad.data[0] / second.grad.data[0, 0] == pytest.approx(3 / 4)
    assert clip_grad_norm_([first], 100.0) == pytest.approx(math.sqrt(27) / norm)
    assert get_total_norm([first]) == pytest.approx(math.sqrt(27) / norm, rel=1e-12)
    with pytest.raises(ValueError, match="max_norm=0"):
        clip_grad_norm_([first], 0.0)


def test_parts_clipped_by_the_norm_of_all_are_clipped_as_one():
    """Row `same-math` of docs/conventions.md."""
    first, second = parameters(3, 4)
    (first.sum() * 3 + (second**2).sum()).backward()
    wanted = [p.grad.data.copy() for p in (first, second)]
    total = math.sqrt(sum(float((g**2).sum()) for g in wanted))
    for parameter, gradient in zip((first, second), wanted, strict=True):
        clip_grads_with_norm_([parameter], 0.5, total)
        np.testing.assert_allclose(parameter.grad.data, gradient * 0.5 / total, rtol=1e-12)


def test_a_norm_in_float16_does_not_overflow():
    (parameter,) = parameters(3)
    parameter.grad = mg.Tensor(np.full(3, 1000.0, np.float16))
    assert get_total_norm([parameter]) == pytest.approx(math.sqrt(3e6), rel=1e-6)


def test_no_gradients_have_norm_zero():
    assert clip_grad_norm_(parameters(3), 1.0) == 0.0


def test_clipping_by_value_cuts_numbers_one_by_one():
    (parameter,), (unused,) = parameters(5), parameters(2)
    (parameter * np.array([-3.0, -1.0, 0.0, 0.5, 9.0])).sum().backward()
    clip_grad_value_([parameter, unused], 1.0)
    np.testing.assert_array_equal(parameter.grad.data, [-1.0, -1.0, 0.0, 0.5, 1.0])
    for value in (0.0, float("nan")):
        with pytest.raises(ValueError, match="clip_value="):
            clip_grad_value_([parameter], value)


# ------------------------------------------------------------------------------------------------------- averaging


def test_the_moving_average_is_its_sum_written_out():
    """Row `same-math` of docs/conventions.md: decay^n w_0 + (1 - decay) sum of decay^(n - k) w_k."""
    (parameter,) = parameters(4)
    history = [parameter.data.copy()]
    average = ExponentialMovingAverage([parameter], decay=0.8)
    for _ in range(5):
        parameter.data[...] = RNG.standard_normal(4)
        history.append(parameter.data.copy())
        average.update()
    written_out = 0.8**5 * history[0] + sum(0.2 * 0.8 ** (5 - k) * history[k] for k in range(1, 6))
    np.testing.assert_allclose(average.averages[0], written_out, rtol=0.0, atol=1e-12)


def test_the_averaged_weights_are_in_the_model_for_a_block_only():
    (parameter,) = parameters(4)
    array, view = parameter.data, parameter.data[:2]
    average = ExponentialMovingAverage([parameter], decay=0.5)
    parameter.data += 1.0
    own = parameter.data.copy()
    average.update()
    with average.applied():
        assert parameter.data is array
        np.testing.assert_array_equal(parameter.data, average.averages[0])
        np.testing.assert_array_equal(view, average.averages[0][:2])
        np.testing.assert_allclose(parameter.data, own - 0.5)
        parameter.data += 5.0  # lost at the end
    np.testing.assert_array_equal(parameter.data, own)
    np.testing.assert_allclose(average.averages[0], own - 0.5)


def test_the_own_weights_return_after_an_error_too():
    (parameter,) = parameters(4)
    average = ExponentialMovingAverage([parameter])
    parameter.data += 1.0
    own = parameter.data.copy()
    with pytest.raises(ZeroDivisionError), average.applied():
        raise ZeroDivisionError
    np.testing.assert_array_equal(parameter.data, own)
    with average.applied():
        pass


def test_a_graph_built_inside_the_block_cannot_be_used_outside():
    (parameter,) = parameters(4)
    average = ExponentialMovingAverage([parameter])
    with average.applied():
        loss = (parameter * parameter).sum()
    with pytest.raises(RuntimeError):
        loss.backward()


def test_what_an_average_refuses():
    (parameter,) = parameters(4)
    average = ExponentialMovingAverage([parameter])
    with average.applied():
        with pytest.raises(RuntimeError, match="update"):
            average.update()
        with pytest.raises(RuntimeError, match="applied"), average.applied():
            pass
    with pytest.raises(ValueError, match="no parameters"):
        ExponentialMovingAverage([])
    for decay in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="decay="):
            ExponentialMovingAverage([parameter], decay=decay)


def test_an_average_continues_from_its_state():
    """Row `bits` of docs/conventions.md."""
    one, two = parameters(4, (2, 2))
    first = ExponentialMovingAverage([one, two], decay=0.7)
    one.data += 1.0
    first.update()
    second = ExponentialMovingAverage([one, two], decay=0.9)
    second.load_state_dict(first.state_dict())
    one.data += 1.0
    first.update()
    second.update()
    for a, b in zip(first.averages, second.averages, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a is not b


@pytest.mark.parametrize(("state", "sentence"), [
    ({"decay": 2.0, "averages": [np.ones(4), np.ones(2)]}, "decay=2.0"),
    ({"decay": 0.5, "averages": [np.ones(4)]}, "for 1 parameters"),
    ({"decay": 0.5, "averages": [np.ones(4), np.ones(3)]}, r"average 1 is float64 of shape \(3,\)"),
    ({"decay": 0.5, "averages": [np.ones(4), np.ones(2, np.float32)]}, "average 1 is float32"),
])  # fmt: skip
def test_an_average_that_does_not_fit_is_refused_before_anything_changes(state, sentence):
    average = ExponentialMovingAverage(parameters(4, 2))
    before = [array.copy() for array in average.averages]
    with pytest.raises(ValueError, match=sentence):
        average.load_state_dict(state)
    assert average.decay == 0.999
    for array, old in zip(average.averages, before, strict=True):
        np.testing.assert_array_equal(array, old)
