"""The graph and the walk: accumulation, depth, release, in-place writes, modes."""

import gc
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import Watcher, topological_order
from minigrad.modes import current_mode
from minigrad.ops.reduction import SMALL


def leaf(*values):
    return mg.Tensor(np.array(values, dtype=np.float64), requires_grad=True)


def test_a_diamond_adds_both_paths():
    x = leaf(3.0)
    a, b = x * 2, x * 5
    (a * b).sum().backward()
    assert x.grad.item() == pytest.approx(2 * 2 * 5 * 3)


def test_using_a_tensor_as_both_operands():
    x = leaf(3.0)
    (x * x + x).sum().backward()
    assert x.grad.item() == 7.0


def test_gradients_accumulate_over_calls_until_zeroed():
    x = leaf(2.0)
    for expected in (3.0, 6.0):
        (3 * x).sum().backward()
        assert x.grad.item() == expected
    x.zero_grad()
    assert x.grad is None


def test_two_leaves_that_receive_one_array_do_not_share_it():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward()
    a.grad.data *= 10
    assert b.grad.tolist() == [1.0, 1.0]


def test_topological_order_puts_users_before_what_they_use():
    x = leaf(1.0)
    y = x * 2
    z = (y + x) * y
    order = [id(node) for node in topological_order(z.grad_fn)]
    assert order[0] == id(z.grad_fn)
    assert order.index(id(y.grad_fn)) > order.index(id(z.grad_fn.parents[0]))
    assert order[-1] == id(x)


def test_a_chain_of_100_000_operations():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.sum().backward()
    assert x.grad.item() == 1.0


def test_dropping_a_deep_graph_without_backward_does_not_overflow_the_stack():
    y = leaf(1.0)
    for _ in range(200_000):
        y = y * 1.0
    del y
    gc.collect()


def test_the_walk_visits_each_node_once():
    """Doubling 60 times has 2^60 paths; a walk along paths would never end."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    start = time.perf_counter()
    y.sum().backward()
    assert x.grad.item() == 2.0**60
    assert time.perf_counter() - start < 1.0


def test_no_grad_records_nothing_and_restores_the_mode():
    x = leaf(1.0)
    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.set_grad_enabled(True):
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad

    @mg.no_grad()
    def double(t):
        return t * 2

    assert not double(x).requires_grad
    assert mg.is_grad_enabled()


def test_one_mode_object_serves_twice_and_inside_itself_and_leaves_watchers_alone():
    quiet, watcher = mg.no_grad(), Watcher()
    with quiet:
        with quiet, watcher:
            assert not mg.is_grad_enabled()
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()
    quiet.__enter__()  # not nested: each gives back its own half of the mode
    watcher.__enter__()
    quiet.__exit__()
    assert current_mode.get() == (True, watcher)
    watcher.__exit__()
    assert current_mode.get() == (True, None)


@pytest.mark.parametrize("rows", [2, SMALL])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_the_gradient_of_a_sum_of_few_and_of_many(rows, axis):
    """Few are written, many are a view: the same numbers (each is one product, so to the bit)."""
    x = mg.Tensor(np.ones((rows, 3)), requires_grad=True)
    cotangent = np.random.default_rng(0).standard_normal(x.data.sum(axis=axis, keepdims=True).shape)
    expected = np.broadcast_to(cotangent, x.shape)
    for fold, scale in ((x.sum, 1.0), (x.mean, 1.0 / (x.numel() // cotangent.size))):
        x.grad = None
        fold(axis, keepdim=True).backward(cotangent)
        np.testing.assert_array_equal(x.grad.data, expected * scale)


def test_the_mode_is_restored_when_the_block_raises():
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert mg.is_grad_enabled()


def test_the_mode_belongs_to_a_thread():
    seen = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(mg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_two_threads_build_and_walk_graphs_at_once():
    """Each has a graph of its own; the modes, the order of the walk and the sums on the way belong to a thread."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2, 8, 3))
    weights = rng.standard_normal((3, 3))

    def gradient(x):
        w = mg.Tensor(weights, requires_grad=True)
        h = mg.Tensor(x)
        for _ in range(5):
            h = (h @ w).tanh() + h
        (h * h).sum().backward()
        return w.grad.data

    expected = [gradient(x) for x in data]
    both_are_here = threading.Barrier(2, timeout=20)
    wrong = []

    def work(number):
        try:
            for round_ in range(40):
                both_are_here.wait()
                if number == round_ % 2:  # one of the two records nothing for a while
                    with mg.no_grad():
                        h = mg.Tensor(weights, requires_grad=True)
                        for _ in range(20):
                            h = (h @ h).tanh()
                            if h.requires_grad or mg.is_grad_enabled():
                                wrong.append("recorded under no_grad")
                elif not np.array_equal(gradient(data[number]), expected[number]):
                    wrong.append(f"thread {number} has a wrong gradient")
        except BaseException as error:
            both_are_here.abort()
            wrong.append(repr(error))

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # let the threads interrupt each other between any two lines
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(switching)
    assert wrong == []


def test_detach_cuts_the_graph():
    x = leaf(2.0)
    (x * x.detach()).sum().backward()
    assert x.grad.item() == 2.0


def test_activations_are_free_after_backward():
    x = leaf(*range(10))
    y = x.exp()
    kept = weakref.ref(y.grad_fn.kept_output)
    loss = y.sum()
    del y
    loss.backward()
    assert kept() is None


def test_a_second_backward_says_what_to_do():
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_retain_graph_allows_a_second_walk():
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


def test_backward_of_a_vector_needs_a_gradient():
    with pytest.raises(RuntimeError, match=r"shape \(2,\) needs a gradient"):
        (leaf(1.0, 2.0) * 2).backward()


def test_backward_with_a_gradient_of_another_shape():
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        (leaf(1.0, 2.0) * 2).backward(np.ones(3))


def test_backward_without_graph():
    with pytest.raises(RuntimeError, match="no graph"):
        mg.Tensor([1.0]).sum().backward()


@pytest.mark.parametrize(
    ("write", "needed"),
    [
        (lambda x, y: x.copy_(0.0), "Mul needs input"),
        (lambda x, y: x.__setitem__(0, 5.0), "Mul needs input"),
        (lambda x, y: x.reshape(2, 1).detach().copy_(0.0), "Mul needs input"),
        (lambda x, y: x[1:].detach().copy_(0.0), "Mul needs input"),
    ],
)
def test_an_in_place_write_to_a_kept_input_is_refused(write, needed):
    w, x = leaf(1.0, 2.0), mg.Tensor(np.array([3.0, 4.0]))
    loss = (w * x).sum()
    write(x, w)
    with pytest.raises(RuntimeError, match=needed):
        loss.backward()


def test_an_optimizer_step_between_forward_and_backward_is_refused():
    w = mg.nn.Parameter(np.array([1.0, 2.0]))
    (w * 2).sum().backward()
    loss = (w * w).sum()
    mg.optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


def test_an_in_place_write_to_a_kept_output_is_refused():
    x = leaf(1.0)
    y = x.exp()
    with mg.no_grad():
        y.copy_(0.0)
    with pytest.raises(RuntimeError, match="Exp needs its output"):
        y.sum().backward()


def test_writing_what_nobody_kept_is_allowed():
    w, x = leaf(1.0), mg.Tensor(np.array([3.0]))
    loss = (w + x).sum()
    x.copy_(0.0)
    loss.backward()
    assert w.grad.item() == 1.0


def test_writing_into_the_graph_is_refused_at_once():
    w = leaf(1.0)
    with pytest.raises(RuntimeError, match="a leaf that requires"):
        w[0] = 2.0
    with pytest.raises(RuntimeError, match="recorded operation"):
        (w * 2).copy_(0.0)


def test_grad_returns_and_leaves_the_fields_alone():
    x, y = leaf(2.0), leaf(5.0)
    dx, dy = mg.grad((x * y).sum(), [x, y])
    assert (dx.item(), dy.item(), x.grad, y.grad) == (5.0, 2.0, None, None)


def test_grad_of_an_inner_tensor_and_of_what_is_behind_it():
    x = leaf(2.0)
    y = x * 3
    dy, dx = mg.grad((y * y).sum(), [y, x])
    assert (dy.item(), dx.item()) == (12.0, 36.0)


def test_grad_of_an_unused_input():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError, match=r"does not depend on inputs\[1\]"):
        mg.grad((x * 2).sum(), [x, y])
    assert mg.grad((x * 2).sum(), [x, y], allow_unused=True)[1] is None


def test_third_derivative():
    x = leaf(2.0)
    y = (x**4).sum()
    for expected in (32.0, 48.0, 48.0):
        (y,) = mg.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)
        y = y.sum()


def test_a_custom_function():
    class Double(mg.Function):
        def forward(self, x):
            return 2 * x

        def backward(self, grad):
            return (2 * grad,)

    x = leaf(1.0, 2.0)
    Double.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_gradcheck_refuses_a_wrong_gradient():
    class Wrong(mg.Function):
        keeps_inputs = True

        def forward(self, x):
            return x * x

        def backward(self, grad, x):
            return (grad * x,)  # the factor 2 is missing

    with pytest.raises(AssertionError, match=r"inputs\[0\] is wrong"):
        mg.gradcheck(Wrong.apply, [leaf(1.0, 2.0)], rng=np.random.default_rng(0))


def test_gradcheck_wants_float64():
    with pytest.raises(TypeError, match="float64"):
        mg.gradcheck(lambda x: x, [mg.Tensor([1.0], requires_grad=True)], rng=np.random.default_rng(0))
