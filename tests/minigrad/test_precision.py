"""Rounding, autocast, loss scaling, master weights. Tolerances: docs/conventions.md."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.ops import OPS
from minigrad.precision import ROUNDED, GradScaler, MasterWeights, Round, autocast, round_to


def to_bfloat16_by_hand(number):
    """The upper half of the float32's bits, rounded to the nearest, ties to even."""
    (bits,) = struct.unpack("<I", struct.pack("<f", number))
    upper, rest = bits >> 16, bits & 0xFFFF
    if rest > 0x8000 or (rest == 0x8000 and upper & 1):
        upper += 1
    return struct.unpack("<f", struct.pack("<I", (upper << 16) & 0xFFFFFFFF))[0]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bfloat16_is_the_upper_half_of_a_float32(number):
    assert round_to(np.float32([number]), "bfloat16")[0] == to_bfloat16_by_hand(number)


@given(st.floats(-65000, 65000, width=32))
def test_float16_has_eleven_significant_bits(number):
    rounded = float(round_to(np.float32([number]), "float16")[0])
    assert rounded == float(np.float16(np.float32(number)))
    assert abs(rounded - number) <= max(abs(number) * 2.0**-11, 2.0**-25)


def test_ends_of_the_two_types():
    x = np.float32([65504, 65520, 1e30, 1e-8, 6e-8, 1 + 2**-8])
    np.testing.assert_array_equal(round_to(x, "float16")[:4], [65504, np.inf, np.inf, 0])
    assert round_to(x, "float16")[4] == 2.0**-24
    assert round_to(x, "bfloat16")[5] == 1.0  # a tie, to even
    assert np.isfinite(round_to(x, "bfloat16")).all()
    np.testing.assert_array_equal(round_to(x, "float32"), x)
    with pytest.raises(ValueError, match="precision 'int8' is not known"):
        round_to(x, "int8")


def test_every_name_in_the_table_is_an_operation():
    assert OPS.keys() >= ROUNDED


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_product_of_rounded_operands_is_added_up_in_float32(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((5, 300)).astype(np.float32) for _ in range(2))
    with autocast(dtype):
        found = F.linear(mg.Tensor(a), mg.Tensor(b)).numpy()
    exact = round_to(a, dtype).astype(np.float64) @ round_to(b, dtype).astype(np.float64).T
    # The one error allowed is that of rounding the result: a sum in float16 would be off by much more.
    np.testing.assert_allclose(found, round_to(exact.astype(np.float32), dtype), rtol=2.0**-7)
    assert np.mean(found == round_to(exact.astype(np.float32), dtype)) > 0.9


def test_what_stays_in_float32():
    rng = np.random.default_rng(1)
    x = mg.Tensor(rng.standard_normal((4, 8)).astype(np.float32))
    weight, bias = mg.Tensor(np.ones(8, np.float32)), mg.Tensor(np.zeros(8, np.float32))
    plain = [
        F.softmax(x).numpy(),
        F.layer_norm(x, weight, bias).numpy(),
        F.cross_entropy(x, [0, 1, 2, 3]).numpy(),
        (x * x + x).numpy(),
    ]
    with autocast("float16"):
        short = [
            F.softmax(x).numpy(),
            F.layer_norm(x, weight, bias).numpy(),
            F.cross_entropy(x, [0, 1, 2, 3]).numpy(),
            (x * x + x).numpy(),
        ]
    for one, other in zip(plain, short, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_of_a_product_are_products_of_rounded_numbers(dtype):
    """Whether backward() is called in the block or behind it."""
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (4, 5), (3, 5))]
    gradients = []
    for inside in (True, False):
        a, b = mg.Tensor(arrays[0], requires_grad=True), mg.Tensor(arrays[1], requires_grad=True)
        with autocast(dtype):
            y = a @ b
            if inside:
                y.backward(arrays[2])
        if not inside:
            y.backward(arrays[2])
        gradients.append((a.grad.numpy(), b.grad.numpy()))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_array_equal(one, other)
    g, short_b = round_to(arrays[2], dtype), round_to(arrays[1], dtype)
    np.testing.assert_array_equal(gradients[0][0], round_to(g @ short_b.T, dtype))


def test_the_innermost_autocast_holds_and_the_mode_ends_with_the_block():
    x = mg.Tensor([[1.0 + 2.0**-9]])
    assert (x @ x).item() != 1.0
    with autocast("float16"):
        assert (x @ x).item() == 1.0 + 2.0**-8
        with autocast("bfloat16"):
            assert (x @ x).item() == 1.0
            with autocast("float32"):
                assert (x @ x).item() == float(x.numpy()[0, 0] ** 2)
        assert (x @ x).item() == 1.0 + 2.0**-8
    assert (x @ x).item() == float(x.numpy()[0, 0] ** 2)
    with pytest.raises(ValueError, match="'half' is not known"):
        autocast("half")


def test_a_small_gpt_under_autocast_is_near_its_float32_loss():
    shape = nn.GPTConfig(vocab_size=20, block_size=8, n_layer=2, n_head=2, n_embd=16)
    model = nn.GPT(shape, rng=np.random.default_rng(0))
    tokens = np.random.default_rng(1).integers(0, 20, (4, 9))
    exact = model.loss(tokens[:, :-1], tokens[:, 1:]).item()
    for dtype, tolerance in (("float16", 2e-4), ("bfloat16", 2e-3)):
        with autocast(dtype):
            loss = model.loss(tokens[:, :-1], tokens[:, 1:])
        assert loss.item() == pytest.approx(exact, rel=tolerance)
        assert loss.item() != exact
        assert loss.dtype == np.float32


def test_second_derivatives_pass_through_rounding():
    x = mg.Tensor(np.float32([[2.0]]), requires_grad=True)
    with autocast("float16"):
        (first,) = mg.grad((x @ x @ x).sum(), x, create_graph=True)
    (second,) = mg.grad(first.sum(), x)
    assert (first.item(), second.item()) == (12.0, 12.0)


# --------------------------------------------------------------------------------------------- loss scaling


def gradient_through_float16(scale):
    """The gradient of 1e-8 x, computed on float16's values, scaled and unscaled."""
    x = mg.Tensor(np.float32([1.0]), requires_grad=True)
    (Round.apply(x, dtype="float16") * 1e-8 * scale).sum().backward()
    return x.grad.item() / scale


def test_a_gradient_of_1e_8_vanishes_and_returns():
    """Micikevicius and others, 2018, section 3.2; float16 keeps 11 bits."""
    assert gradient_through_float16(1.0) == 0.0
    assert gradient_through_float16(2.0**16) == pytest.approx(1e-8, rel=2.0**-11)


def scaled_step(scaler, optimizer, weight, factor):
    optimizer.zero_grad()
    with autocast("float16"):
        y = weight @ mg.Tensor(np.float32([[1.0]]))
    scaler.scale((y * factor).sum()).backward()
    stepped = scaler.step(optimizer)
    scaler.update()
    return stepped


def test_the_scaler_skips_backs_off_and_grows():
    weight = nn.Parameter(np.float32([[1.0]]))
    optimizer = mg.optim.SGD([weight], lr=0.5)
    scaler = GradScaler(init_scale=2.0**16, growth_interval=3)
    assert not scaled_step(scaler, optimizer, weight, 4.0)  # 4 * 2^16 overflows
    assert (weight.item(), scaler.factor) == (1.0, 2.0**15)
    assert not scaled_step(scaler, optimizer, weight, 2.0)
    assert scaler.factor == 2.0**14
    for number in range(3):
        assert scaler.factor == 2.0**14
        assert scaled_step(scaler, optimizer, weight, 1.0)
        assert weight.item() == 1.0 - 0.5 * (number + 1)
    assert scaler.factor == 2.0**15
    assert GradScaler.state_dict(scaler) == {"factor": 2.0**15, "good_steps": 0}


def test_a_nan_is_skipped_too_and_bad_steps_break_the_row():
    weight = nn.Parameter(np.float32([[1.0]]))
    optimizer = mg.optim.SGD([weight], lr=0.5)
    scaler = GradScaler(init_scale=4.0, growth_interval=2)
    assert scaled_step(scaler, optimizer, weight, 0.0)
    assert not scaled_step(scaler, optimizer, weight, math.nan)
    assert (scaler.factor, scaler.good_steps) == (2.0, 0)
    other = GradScaler()
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()


def test_unscaling_before_clipping_happens_once():
    weight = nn.Parameter(np.float32([[1.0]]))
    optimizer = mg.optim.SGD([weight], lr=1.0)
    scaler = GradScaler(init_scale=1024.0)
    scaler.scale((weight * 3.0).sum()).backward()
    assert scaler.unscale_(optimizer)
    assert weight.grad.item() == 3.0
    with pytest.raises(RuntimeError, match="already unscaled"):
        scaler.unscale_(optimizer)
    assert scaler.step(optimizer)
    assert weight.item() == -2.0
    scaler.update()
    with pytest.raises(RuntimeError, match="needs a step"):
        scaler.update()


@pytest.mark.parametrize(
    "wrong", [{"init_scale": 0.0}, {"growth_factor": 1.0}, {"backoff_factor": 1.0}, {"growth_interval": 0}]
)
def test_factors_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match="GradScaler needs"):
        GradScaler(**wrong)


# -------------------------------------------------------------------------------------------- master weights


def test_a_bfloat16_weight_of_1_loses_an_update_of_1e_3():
    """bfloat16 has 2^-8 below 1 and 2^-7 above it: an update of 1e-3 is less than half of either."""
    for step in (1e-3, -1e-3):
        weight = np.float32([1.0])
        for _ in range(100):
            weight = round_to(weight - np.float32(step), "bfloat16")
        assert weight[0] == 1.0


def test_master_weights_collect_small_updates():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data[...] = 1.0
    masters = MasterWeights(model, "bfloat16")
    optimizer = mg.optim.SGD(model.parameters(), lr=1e-3)
    seen = []
    for _ in range(10):
        optimizer.zero_grad()
        model.weight.sum().backward()
        masters.step(optimizer)
        seen.append(model.weight.item())
    assert seen[0] == 1.0  # not yet: 0.999 rounds to 1
    assert seen[-1] == float(round_to(np.float32([0.99]), "bfloat16")[0]) < 1.0
    assert masters.masters[0].item() == pytest.approx(0.99, abs=1e-6)
    assert all(value == float(round_to(np.float32([value]), "bfloat16")[0]) for value in seen)
