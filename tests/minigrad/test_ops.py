"""The gradient battery: every row of the table, first and second order, and proof that it can fail."""

import kill_table
import numpy as np
import op_table
import pytest

from minigrad import gradcheck
from minigrad.autograd import Function, Fused, grad
from minigrad.ops import OPS
from minigrad.tensor import Tensor

ROWS = op_table.OPS_TABLE


def by_id(row):
    return row.id


def test_every_op_has_a_row():
    assert OPS.keys() == {row.op for row in ROWS}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("row", ROWS, ids=by_id)
def test_gradient_equals_central_differences(row, seed):
    """Row `grad` of the tolerance table."""
    gradcheck(row.function, op_table.inputs_for(row, seed), rng=np.random.default_rng(seed), rtol=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=by_id)
def test_gradient_of_strided_inputs(row):
    inputs = op_table.inputs_for(row, seed=2, contiguous=False)
    gradcheck(row.function, inputs, rng=np.random.default_rng(2), rtol=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=by_id)
def test_second_order(row):
    """Row `grad2` of the tolerance table."""
    inputs = op_table.inputs_for(row, seed=3)
    gradcheck(row.function, inputs, rng=np.random.default_rng(3), rtol=1e-6, second_order=True)


@pytest.mark.parametrize("row", ROWS, ids=by_id)
def test_float32_stays_float32(row):
    inputs = [Tensor(t.data.astype(np.float32), requires_grad=True) for t in op_table.inputs_for(row, seed=4)]
    output = row.function(*inputs)
    if row.op != "Cast":
        assert output.dtype == np.float32
    for gradient in grad(output, inputs, Tensor(np.ones(output.shape, output.dtype)), allow_unused=True):
        assert gradient is None or gradient.dtype == np.float32


@pytest.mark.parametrize("row", [r for r in ROWS if hasattr(OPS[r.op], "composite")], ids=by_id)
def test_fused_equals_its_composite(row, monkeypatch):
    """Row `same-math`: values and gradients of the kernel against the definition in primitives."""
    inputs = op_table.inputs_for(row, seed=5)
    cotangent = Tensor(np.random.default_rng(5).standard_normal(row.function(*inputs).shape))

    def run():
        output = row.function(*inputs)
        return [output.data] + [g.data for g in grad(output, inputs, cotangent)]

    fused = run()
    monkeypatch.setattr(OPS[row.op], "apply", OPS[row.op].composite)
    for ours, reference in zip(fused, run(), strict=True):
        scale = max(1.0, np.abs(reference).max(initial=0.0))
        np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("fault", kill_table.FAULTS)
@pytest.mark.parametrize("op", sorted(OPS))
def test_a_planted_fault_turns_the_battery_red(op, fault):
    assert kill_table.killed_by(op, kill_table.FAULTS[fault]) is not None
    assert kill_table.first_red_row(op) is None  # and the fault is out again


def test_an_all_ones_cotangent_would_pass_a_softmax_that_returns_zeros():
    """Why the battery draws its cotangents: the outputs of softmax always sum to 1."""
    from minigrad.nn import functional as F

    x = Tensor(np.random.default_rng(0).standard_normal((3, 4)), requires_grad=True)
    (gradient,) = grad(F.softmax(x), x, Tensor(np.ones((3, 4))))
    assert np.abs(gradient.data).max() < 1e-15


def test_the_table_of_ops_lists_no_abstract_class():
    assert Function not in OPS.values()
    assert Fused not in OPS.values()
