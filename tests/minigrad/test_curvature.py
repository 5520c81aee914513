"""Hessian-vector products, eigenvalues, traces and sharpness, against matrices that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.curvature import (
    Hessian,
    difference_errors,
    difference_product,
    gradient_descent,
    hessian_vector_product,
    hutchinson_trace,
    lanczos,
    power_iteration,
    sharpness,
    small_regression,
    spectral_density,
    top_eigenvalue,
)
from minigrad.nn import functional as F

SAME_MATH = 1e-12  # conventions.md: same-math
GRAD2 = 1e-5  # conventions.md: grad2


def rng(seed=0):
    return np.random.default_rng(seed)


def symmetric(eigenvalues, seed=0):
    """A random matrix with these eigenvalues."""
    rotation, _ = np.linalg.qr(rng(seed).standard_normal((len(eigenvalues),) * 2))
    return (rotation * np.asarray(eigenvalues)) @ rotation.T


def quadratic(matrix, seed=1):
    """(loss, its parameter) of x^T A x / 2, whose Hessian is A."""
    x = mg.Tensor(rng(seed).standard_normal((len(matrix), 1)), requires_grad=True)
    return (lambda: (x * (mg.Tensor(matrix) @ x)).sum() * 0.5), x


def tiny_net():
    """A net with every kind of layer that has a hand-written backward, and its loss."""
    config = mg.nn.GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=2, n_embd=4)
    net = mg.nn.GPT(config, rng=rng(), dtype=np.float64)
    for parameter in net.parameters():  # away from the small initial values, where the Hessian is nearly zero
        parameter.data += 0.3 * rng(parameter.numel()).standard_normal(parameter.shape)
    tokens = rng(3).integers(0, 5, (2, 5))
    return net, lambda: net.loss(tokens[:, :-1], tokens[:, 1:])


def full_hessian(loss, parameters):
    """The matrix, column by column, from central differences of gradients."""
    size = sum(p.numel() for p in parameters)
    columns = [difference_product(loss, parameters, unit, 1e-5, central=True) for unit in np.eye(size)]
    return np.stack(columns, axis=1)


@given(size=st.sampled_from([1, 2, 3, 4, 5, 8]), seed=st.integers(0, 100))
def test_the_product_with_a_quadratic_is_the_matrix_product(size, seed):
    matrix = symmetric(rng(seed).standard_normal(size), seed)
    loss, x = quadratic(matrix, seed)
    vector = rng(seed + 1).standard_normal(size)
    product = hessian_vector_product(loss, [x], vector)
    np.testing.assert_allclose(product, matrix @ vector, atol=SAME_MATH * max(1.0, np.abs(product).max()))


def test_the_product_on_a_gpt_agrees_with_differences_of_gradients():
    net, loss = tiny_net()
    parameters = list(net.parameters())
    for seed in (0, 1):
        vector = rng(seed).standard_normal(sum(p.numel() for p in parameters))
        exact = hessian_vector_product(loss, parameters, vector)
        numeric = difference_product(loss, parameters, vector, 1e-6, central=True)
        assert np.linalg.norm(exact - numeric) <= GRAD2 * np.linalg.norm(exact)
        assert np.linalg.norm(exact) > 0.1


def test_the_hessian_is_symmetric():
    net, loss = tiny_net()
    hessian = Hessian(loss, net.parameters())
    a, b = rng(1).standard_normal((2, hessian.shape[0]))
    scale = np.linalg.norm(hessian @ b) * np.linalg.norm(a)
    assert abs(a @ (hessian @ b) - b @ (hessian @ a)) <= SAME_MATH * scale


def test_one_graph_serves_many_products_and_touches_no_grad():
    net, loss = tiny_net()
    hessian = Hessian(loss, net.parameters())
    vector = rng().standard_normal(hessian.shape[0])
    assert np.array_equal(hessian @ vector, hessian @ vector)
    np.testing.assert_allclose(hessian @ (2 * vector), 2 * (hessian @ vector), rtol=0, atol=1e-12)
    assert all(p.grad is None for p in net.parameters())


def test_a_linear_loss_has_no_curvature():
    x = mg.Tensor(np.arange(3.0), requires_grad=True)
    assert (Hessian(lambda: (x * 2.0).sum(), [x]) @ np.ones(3)).tolist() == [0.0, 0.0, 0.0]


def test_an_unused_parameter_has_zeros():
    x = mg.Tensor(np.array([2.0]), requires_grad=True)
    idle = mg.Tensor(np.zeros(2), requires_grad=True)
    assert (Hessian(lambda: (x**3).sum(), [idle, x]) @ np.ones(3)).tolist() == [0.0, 0.0, 12.0]


def test_the_error_of_differences_is_a_u():
    """Truncation grows like eps, rounding like 1 / eps; the best is near the root of the machine epsilon."""
    net, loss = small_regression(rng())
    parameters = list(net.parameters())
    vector = rng(1).standard_normal(sum(p.numel() for p in parameters))
    vector /= np.linalg.norm(vector)
    steps = [1e-12, 1e-8, 1e-4, 1e-3]
    errors = difference_errors(loss, parameters, vector, steps)
    assert errors[3] / errors[2] == pytest.approx(10.0, rel=0.1)
    assert errors[0] > 100 * errors[1]
    assert errors[1] < 1e-6
    central = difference_errors(loss, parameters, vector, [1e-3, 1e-2], central=True)
    assert central[1] / central[0] == pytest.approx(100.0, rel=0.1)


def test_differences_leave_the_parameters_bit_equal_even_after_an_error():
    net, loss = small_regression(rng())
    before = [p.data.copy() for p in net.parameters()]
    vector = np.ones(sum(p.numel() for p in net.parameters()))
    difference_product(loss, net.parameters(), vector, 0.1, central=True)

    def broken():
        raise ArithmeticError("no loss today")

    with pytest.raises(ArithmeticError):
        difference_product(broken, net.parameters(), vector, 0.1)
    assert all(np.array_equal(p.data, old) for p, old in zip(net.parameters(), before, strict=True))


def test_lanczos_finds_the_top_of_a_200_dimensional_quadratic_to_1e_8():
    eigenvalues = np.concatenate([rng(4).gamma(2.0, 0.5, 197), [7.0, 8.5, 10.0]])
    loss, x = quadratic(symmetric(eigenvalues))
    top = top_eigenvalue(Hessian(loss, [x]), rng(5), tolerance=1e-8)
    assert top.value == pytest.approx(10.0, rel=1e-8)
    assert top.steps < 40
    assert top.residual <= 1e-8 * 10


def test_lanczos_keeps_its_basis_orthogonal_and_finds_no_copies():
    """Without reorthogonalisation a converged eigenvalue comes again, and the basis loses its angles."""
    eigenvalues = np.concatenate([np.linspace(0, 1, 97), [10.0, 50.0, 100.0]])
    found = lanczos(symmetric(eigenvalues), 60, rng())
    overlap = found.basis.T @ found.basis - np.eye(60)
    assert np.abs(overlap).max() < SAME_MATH
    ritz, _ = found.eigenvalues()
    assert (ritz > 5).sum() == 3
    np.testing.assert_allclose(ritz[-3:], [10.0, 50.0, 100.0], rtol=1e-10)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
def test_lanczos_over_the_whole_space_is_exact(size):
    eigenvalues = np.sort(rng(size).standard_normal(size))
    matrix = symmetric(eigenvalues)
    found = lanczos(matrix, size, rng())
    np.testing.assert_allclose(found.eigenvalues()[0], eigenvalues, atol=SAME_MATH * 10)
    np.testing.assert_allclose(found.basis.T @ matrix @ found.basis, found.matrix(), atol=SAME_MATH * 10)


def test_lanczos_stops_where_the_powers_end():
    """Three different eigenvalues span three dimensions, whatever the size."""
    found = lanczos(symmetric([1.0] * 10 + [2.0] * 10 + [5.0] * 10), 30, rng())
    assert found.last == 0.0
    np.testing.assert_allclose(found.eigenvalues()[0], [1.0, 2.0, 5.0], rtol=SAME_MATH * 10)
    assert top_eigenvalue(np.zeros((4, 4)), rng()).value == 0.0


def test_the_residual_bound_is_the_residual():
    matrix = symmetric(rng(2).standard_normal(30))
    pair = lanczos(matrix, 8, rng()).top()
    residual = np.linalg.norm(matrix @ pair.vector - pair.value * pair.vector)
    assert pair.residual == pytest.approx(residual, rel=1e-9)
    assert pair.residual > 1e-3


def test_power_iteration_takes_the_largest_in_magnitude_and_lanczos_the_largest():
    matrix = symmetric([-10.0, -1.0, 0.5, 4.0, 6.0])
    pair = power_iteration(matrix, rng(), tolerance=1e-8)
    assert pair.value == pytest.approx(-10.0, rel=1e-8)
    np.testing.assert_allclose(matrix @ pair.vector, -10.0 * pair.vector, atol=1e-6)
    assert top_eigenvalue(matrix, rng()).value == pytest.approx(6.0, rel=1e-8)


def test_power_iteration_says_how_far_it_came():
    pair = power_iteration(symmetric([1.0, 0.999, 0.3]), rng(), max_steps=3)
    assert pair.steps == 3
    assert pair.residual > 1e-6


def test_the_trace_lies_within_its_error():
    """Seeds are fixed; a biased estimate (normalised probes, say) is off by far more than three errors."""
    matrix = symmetric(np.linspace(1, 3, 50))
    for seed in range(5):
        estimate = hutchinson_trace(matrix, rng(seed), probes=400)
        assert abs(estimate.value - 100.0) < 3 * estimate.standard_error
        off_diagonal = np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)
        assert estimate.standard_error == pytest.approx(np.sqrt(2 * off_diagonal / 400), rel=0.2)


def test_the_trace_of_a_net_matches_its_full_hessian():
    net, loss = tiny_net()
    parameters = list(net.parameters())
    exact = np.trace(full_hessian(loss, parameters))
    estimate = hutchinson_trace(Hessian(loss, parameters), rng(), probes=300)
    assert abs(estimate.value - exact) < 3 * estimate.standard_error


def test_the_density_has_the_moments_of_the_spectrum():
    eigenvalues = np.linspace(-1.0, 2.0, 300) ** 3
    density = spectral_density(symmetric(eigenvalues), rng(), probes=20, steps=40)
    assert np.trapezoid(density.density, density.grid) == pytest.approx(1.0, abs=1e-3)
    assert density.weights.sum() == pytest.approx(1.0, rel=SAME_MATH)
    assert density.weights @ density.nodes == pytest.approx(eigenvalues.mean(), abs=0.15)
    assert density.weights @ density.nodes**2 == pytest.approx((eigenvalues**2).mean(), rel=0.1)


def test_sharpness_is_the_top_of_the_full_hessian():
    net, loss = tiny_net()
    parameters = list(net.parameters())
    exact = np.linalg.eigvalsh(full_hessian(loss, parameters))[-1]
    assert sharpness(loss, parameters, rng()) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("lr", [0.1, 0.2])
def test_gradient_descent_settles_at_the_edge_of_stability(lr):
    """Cohen and others, 2021: sharpness rises to 2 / lr and stays, while the loss goes on falling."""
    net, loss = small_regression(rng())
    records = gradient_descent(loss, net.parameters(), lr, 4000, rng(1), every=50)
    late = [record.sharpness for record in records[-20:]]
    assert records[0].sharpness < 0.6 * 2 / lr
    assert min(late) > 0.9 * 2 / lr
    assert max(late) < 1.1 * 2 / lr
    assert records[-1].loss < 0.1 * records[0].loss
    assert min(r.loss for r in records[-20:]) < min(r.loss for r in records[-60:-20])


def test_a_quadratic_diverges_beyond_two_over_lr():
    for lr, grows in ((0.19, False), (0.21, True)):
        loss, x = quadratic(symmetric([1.0, 2.0, 10.0]))
        records = gradient_descent(loss, [x], lr, 100, rng())
        assert (records[-1].loss > records[0].loss) is grows
        assert [r.step for r in records] == [0, 50, 100]
        assert all(r.sharpness == pytest.approx(10.0, rel=1e-8) for r in records)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda f, x: Hessian(f, []), ValueError, "parameters is empty"),
        (lambda f, x: Hessian(lambda: x * 2.0, [x]), ValueError, r"loss\(\) must return a scalar, got shape \(3, 1\)"),
        (lambda f, x: Hessian(f, [x]) @ np.ones(2), ValueError, r"shape \(2,\), the parameters need \(3,\)"),
        (lambda f, x: difference_product(f, [x], np.ones(3), 0.0), ValueError, "eps=0.0 must be positive"),
        (lambda f, x: difference_errors(f, [x], np.zeros(3), [1e-3]), ValueError, "H v = 0"),
        (lambda f, x: lanczos(np.ones((2, 3)), 2, rng()), ValueError, r"shape \(2, 3\), it must be square"),
        (lambda f, x: lanczos(np.eye(3), 0, rng()), ValueError, "steps=0 must be at least 1"),
        (lambda f, x: lanczos(np.eye(3), 2, rng(), start=np.zeros(3)), ValueError, "not zero"),
        (lambda f, x: power_iteration(np.eye(3), rng(), max_steps=0), ValueError, "max_steps=0 must be at least 1"),
        (lambda f, x: hutchinson_trace(np.eye(3), rng(), probes=1), ValueError, "probes=1 must be at least 2"),
        (lambda f, x: spectral_density(np.eye(3), rng(), probes=0), ValueError, "probes=0"),
        (lambda f, x: gradient_descent(f, [x], 0.0, 5, rng()), ValueError, "lr=0.0 must be positive"),
        (lambda f, x: gradient_descent(f, [x], 0.1, 0, rng()), ValueError, "steps=0"),
    ],
)
def test_bad_input_is_refused(call, error, sentence):
    loss, x = quadratic(symmetric([1.0, 2.0, 3.0]))
    with pytest.raises(error, match=sentence):
        call(loss, x)


def test_a_hessian_of_parameters_that_moved_on_is_refused():
    net, loss = tiny_net()
    hessian = Hessian(loss, net.parameters())
    parameter = next(net.parameters())
    with mg.no_grad():
        parameter.copy_(parameter.data * 2)
    with pytest.raises(RuntimeError, match="written in place since"):
        hessian @ np.ones(hessian.shape[0])


def test_attention_has_curvature_too():
    """Second derivatives pass through the packed attention op alone."""
    x = mg.Tensor(rng().standard_normal((1, 3, 6)), requires_grad=True)
    weights = mg.Tensor(rng(1).standard_normal((1, 3, 2)))

    def loss():
        return (F.packed_attention(x, 1) * weights).sum()

    vector = rng(2).standard_normal(18)
    numeric = difference_product(loss, [x], vector, 1e-6, central=True)
    np.testing.assert_allclose(hessian_vector_product(loss, [x], vector), numeric, atol=GRAD2)
