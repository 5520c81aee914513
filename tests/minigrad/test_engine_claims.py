"""What the engine promises: kept values are watched, what is done with is let go, blame falls where it belongs."""

import gc
import weakref

import numpy as np
import op_table
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.anomaly import AnomalyError, detect_anomaly
from minigrad.autograd import Function, topological_order
from minigrad.nn import functional as F
from minigrad.split_backward import split_backward

RNG = np.random.default_rng(0)


def leaf(*shape):
    return mg.Tensor(RNG.standard_normal(shape), requires_grad=True)


# ------------------------------------------------------------------------------ a graph notices what is written


def test_a_graph_that_kept_a_gradient_notices_when_more_is_added_to_it():
    w, v = leaf(3), leaf(3)
    (w * 2.0).sum().backward()
    penalty = (v * w.grad).sum()
    (w * 3.0).sum().backward()  # the same memory, now 5
    with pytest.raises(RuntimeError, match="Mul needs input 1"):
        penalty.backward()


def test_a_graph_notices_that_other_weights_were_loaded():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    loss = model(mg.Tensor(RNG.standard_normal((4, 2)).astype(np.float32))).sum()
    state = {name: array + 1.0 for name, array in model.state_dict().items()}
    model.load_state_dict(state)
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


VIEWS = {
    "permuted": lambda x: x.permute(1, 0, 2),
    "transposed": lambda x: x.transpose(0, 2),
    "T": lambda x: x.T,
    "expanded": lambda x: x.unsqueeze(0).expand(4, 2, 3, 1),
    "expanded in place": lambda x: x.expand(2, 3, 5),
    "permuted, cut and reshaped": lambda x: x.permute(2, 1, 0)[:, 1:].reshape(1, 2, 2, 1),
    "expanded and permuted": lambda x: x.expand(2, 3, 5).permute(2, 0, 1),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_graph_that_kept_a_view_notices_a_write_to_what_it_views(name):
    x = mg.Tensor(RNG.standard_normal((2, 3, 1)))
    view = VIEWS[name](x)
    w = mg.Tensor(RNG.standard_normal(view.shape), requires_grad=True)
    loss = (w * view).sum()
    x.copy_(0.0)
    with pytest.raises(RuntimeError, match="Mul needs input 1"):
        loss.backward()


@pytest.mark.parametrize("name", [name for name in VIEWS if not name.startswith("expanded")])
def test_a_graph_notices_a_write_through_a_view_of_what_it_kept(name):
    x, w = mg.Tensor(RNG.standard_normal((2, 3, 1))), leaf(2, 3, 1)
    loss = (w * x).sum()
    VIEWS[name](x).copy_(0.0)
    with pytest.raises(RuntimeError, match="Mul needs input 1"):
        loss.backward()


def test_an_expanded_view_cannot_be_written_to():
    """One number stands in several places there."""
    x = mg.Tensor(np.ones((1, 3)))
    with pytest.raises(ValueError, match="read-only"):
        x.expand(2, 3).copy_(0.0)
    np.testing.assert_array_equal(x.data, 1.0)


# ------------------------------------------------------------------------------------------ what is let go


def arrays_kept_by(root):
    """References to every array that the nodes behind `root` keep alive for their backward, leaves' own apart."""
    own = {id(node.data) for node in topological_order(root) if not isinstance(node, Function)}
    found = []
    for node in topological_order(root):
        if isinstance(node, Function):
            inputs = [tensor.data for tensor in getattr(node, "kept_inputs", ())]
            others = [value for value in vars(node).values() if isinstance(value, np.ndarray)]
            found += [weakref.ref(array) for array in inputs + others if id(array) not in own]
    return found


ROWS = {row.op: row for row in op_table.OPS_TABLE if not any(0 in shape for shape in row.shapes)}
KEEPERS = [
    "Attention", "BlockwiseAttention", "CrossEntropy", "Div", "Einsum", "Exp", "Gelu", "LayerNorm", "Linear", "Log",
    "LogSumExp", "MatMul", "Mul", "PackedAttention", "RMSNorm", "Sigmoid", "Softmax", "Tanh",
]  # fmt: skip


@pytest.mark.parametrize("op", KEEPERS)
def test_backward_lets_go_of_what_an_operation_kept(op):
    leaves = op_table.inputs_for(ROWS[op], 0)
    out = ROWS[op].function(*[x * 1.5 for x in leaves])  # inputs that nothing but the graph keeps alive
    loss = out.sum()
    nodes = [node for node in topological_order(loss.grad_fn) if isinstance(node, Function)]
    assert op in [type(node).__name__ for node in nodes]
    kept = arrays_kept_by(loss.grad_fn)
    del out
    loss.backward(retain_graph=True)
    gc.collect()
    assert kept
    assert all(array() is not None for array in kept)
    loss.backward()  # the nodes live on, in `nodes`; what they kept does not
    gc.collect()
    assert not [array for array in kept if array() is not None]
    assert all(vars(node) == {} for node in nodes)


def test_a_whole_model_lets_go_of_its_activations():
    shape = nn.GPTConfig(7, 4, n_layer=2, n_head=2, n_embd=8)
    model = nn.GPT(shape, rng=np.random.default_rng(0))
    loss = model.loss(RNG.integers(0, 7, (2, 4)), RNG.integers(0, 7, (2, 4)))
    nodes, kept = topological_order(loss.grad_fn), arrays_kept_by(loss.grad_fn)
    assert len(kept) > 30
    loss.backward()
    gc.collect()
    assert len(nodes) > 30
    assert not [array for array in kept if array() is not None]


def test_each_node_lets_go_as_soon_as_the_walk_has_passed_it():
    """When the gradient arrives at the first operation, what the second kept is gone already."""
    x = leaf(100)
    hidden = x * 2.0
    out = hidden.exp().tanh()
    kept = weakref.ref(out.grad_fn.parents[0].kept_output)
    alive = []
    hidden.register_hook(lambda gradient: alive.append(kept() is not None))
    out.sum().backward()
    assert alive == [False]


# ----------------------------------------------------------------------------------------------------- hooks


def test_all_post_accumulate_hooks_run_in_order_until_they_are_removed():
    x, calls = leaf(2), []
    remove_first = x.register_post_accumulate_grad_hook(lambda p: calls.append(("first", p.grad.data.copy())))
    x.register_post_accumulate_grad_hook(lambda p: calls.append(("second", p.grad.data.copy())))
    (x * 2.0 + x * 3.0).sum().backward()
    assert [name for name, _ in calls] == ["first", "second"]
    for _, seen in calls:
        np.testing.assert_array_equal(seen, 5.0)
    remove_first()
    (x * 1.0).sum().backward()
    assert [name for name, _ in calls] == ["first", "second", "second"]


def test_all_hooks_on_a_gradient_run_and_each_sees_what_the_one_before_returned():
    x, seen = leaf(2), []
    x.register_hook(lambda gradient: gradient * 10.0)
    x.register_hook(lambda gradient: seen.append(gradient.tolist()))
    (x * 2.0).sum().backward()
    assert seen == [[20.0, 20.0]]
    np.testing.assert_array_equal(x.grad.data, 20.0)


# --------------------------------------------------------------------------------------------- split backward


def test_the_first_half_of_a_split_backward_leaves_the_graph_as_it_was():
    """Row `k-ranks`: a whole walk between the two halves finds every gradient."""
    x, w, b = leaf(3, 4), leaf(2, 4), leaf(2)
    out, cotangent = F.linear(x, w, b), RNG.standard_normal((3, 2))
    _, later = split_backward(out, [x], cotangent)
    assert tuple(out.grad_fn.needs) == (True, True, True)
    for found, expected in zip(
        mg.grad(out, [x, w, b], cotangent, retain_graph=True),
        (cotangent @ w.data, cotangent.T @ x.data, cotangent.sum(0)),
        strict=True,
    ):
        np.testing.assert_allclose(found.data, expected, rtol=1e-12)
    later.run()
    np.testing.assert_allclose(w.grad.data, cotangent.T @ x.data, rtol=1e-12)


# --------------------------------------------------------------------------------------------------- anomaly


def test_numbers_that_come_in_broken_are_not_blamed_on_the_next_operation():
    broken = mg.Tensor(np.array([1.0, np.nan, np.inf]), requires_grad=True)
    with detect_anomaly(), np.errstate(all="ignore"):
        (broken * 2.0 + 1.0).exp().tanh()
        (leaf(3) + broken.detach()).relu()


def test_a_gradient_that_comes_in_broken_is_not_blamed_on_the_next_operation():
    x = leaf(3)
    with detect_anomaly(), np.errstate(all="ignore"):
        (x * 2.0).tanh().backward(np.array([1.0, np.nan, 1.0]))
    assert np.isnan(x.grad.data[1])


@pytest.mark.parametrize("position", [0, 1])
def test_the_first_operation_that_breaks_finite_numbers_is_blamed_whichever_operand_is_large(position):
    operands = [mg.Tensor(np.array([2.0, 1.0])), mg.Tensor(np.array([2.0, 1.0]))]
    operands[position] = mg.Tensor(np.array([1e308, 1.0]))
    with (
        detect_anomaly(),
        np.errstate(all="ignore"),
        pytest.raises(AnomalyError, match="forward of Mul made 1 of 2"),
    ):
        (operands[0] * 10.0) * operands[1]


# -------------------------------------------------------------------------------------------------- gradcheck


class Slightly(mg.Function):
    """sin with a derivative that is wrong by the relative error `wrong`; sin, so that no difference is exact."""

    keeps_inputs = True

    def forward(self, x, *, wrong):
        self.wrong = wrong
        return np.sin(x)

    def backward(self, grad, x):
        return (grad * np.cos(x) * (1.0 + self.wrong),)


@pytest.mark.parametrize("wrong", [3e-6, -3e-6])
@pytest.mark.parametrize("seed", range(3))
def test_gradcheck_refuses_three_parts_in_a_million(wrong, seed):
    """Row `grad`: one number, so that nothing cancels, and the difference is precise to some 10^-10."""
    x = mg.Tensor(np.array([0.3]), requires_grad=True)
    with pytest.raises(AssertionError, match=r"inputs\[0\] is wrong"):
        mg.gradcheck(lambda x: Slightly.apply(x, wrong=wrong), [x], rng=np.random.default_rng(seed))


@pytest.mark.parametrize("wrong", [0.0, 3e-7])
@pytest.mark.parametrize("seed", range(3))
def test_gradcheck_passes_what_is_within_its_tolerance(wrong, seed):
    """Row `grad`."""
    x = mg.Tensor(np.array([0.3]), requires_grad=True)
    assert mg.gradcheck(lambda x: Slightly.apply(x, wrong=wrong), [x], rng=np.random.default_rng(seed))
