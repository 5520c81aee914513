"""The theory with momentum, noise and delays by chance: closed forms against roots, matrices and long runs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parallel.studies import staleness as study
from parallel.studies.staleness import random_delay
from parallel.studies.staleness.delays import constant
from parallel.studies.staleness.remedies import boundary_of, shifted_momentum, shifted_polynomial
from parallel.studies.staleness.replay import replay

# Rows of the tolerance table in docs/conventions.md.
BOUNDARY = 1e-4
SERVED = 1e-3
SAME_MATH = 1e-12
ROOTS = 1e-9
SAMPLED = 0.02

momenta = st.floats(-0.98, 0.98)


def largest_root(tau: int, step: float, momentum: float) -> float:
    """Of (z - 1)(z - m) z^(tau-1) + step, written out here and not taken from the code."""
    polynomial = np.append(np.polymul([1, -1], [1, -momentum]), np.zeros(max(tau - 1, 0)))
    polynomial[-1 if tau else 1] += step
    return float(np.abs(np.roots(polynomial)).max())


def boundary_from_roots(tau: int, momentum: float) -> float:
    """The step at which the largest root reaches the circle, by halving."""
    low, high = 0.0, 4.0
    for _ in range(45):
        step = (low + high) / 2
        low, high = (step, high) if largest_root(tau, step, momentum) < 1 else (low, step)
    return low


# ---- momentum


@pytest.mark.parametrize("momentum", [-0.9, -0.5, 0.0, 0.5, 0.9])
def test_critical_step_agrees_with_the_roots(momentum: float) -> None:
    for tau, step in enumerate(study.critical_step(np.arange(65), momentum)):
        assert largest_root(tau, step - ROOTS, momentum) < 1 < largest_root(tau, step + ROOTS, momentum)
        assert largest_root(tau, 0.5 * step, momentum) < 1  # and it is the first


@given(st.integers(0, 12), momenta)
@settings(max_examples=40)
def test_critical_step_agrees_with_the_roots_for_any_momentum(tau: int, momentum: float) -> None:
    assert study.critical_step(tau, momentum) == pytest.approx(boundary_from_roots(tau, momentum), abs=ROOTS)


def test_critical_step_has_the_known_values() -> None:
    for tau, momentum, step in [(2, 0.9, 0.0512), (4, 0.5, 0.1559), (1, -0.5, 1.5), (2, -0.9, 0.2)]:
        assert study.critical_step(tau, momentum) == pytest.approx(step, abs=5e-5)  # as many digits as are printed


@given(momenta)
def test_one_update_of_delay_leaves_one_minus_momentum(momentum: float) -> None:
    assert study.critical_step(1, momentum) == pytest.approx(1 - momentum, abs=SAME_MATH)
    assert study.critical_step(0, momentum) == pytest.approx(2 * (1 + momentum), abs=SAME_MATH)


def test_critical_step_broadcasts() -> None:
    table = study.critical_step(np.arange(4)[:, None], [-0.5, 0.0, 0.9])
    assert table.shape == (4, 3)
    assert table[:, 1] == pytest.approx(study.plain_critical_step(np.arange(4)), abs=SAME_MATH)
    assert table[2, 2] == study.critical_step(2, 0.9)


def test_the_measured_boundary_with_momentum_agrees_with_theory() -> None:
    tau, momentum = np.array([0, 1, 2, 3, 5, 8, 16])[:, None], np.array([-0.9, -0.5, 0.0, 0.5, 0.9])
    measured = study.measured_boundary_with_momentum(tau, momentum, 4000)
    assert np.abs(measured - study.critical_step(tau, momentum)).max() < BOUNDARY
    by_radius = study.measured_boundary([0, 1, 4], momentum=0.9)
    assert np.abs(by_radius - study.critical_step([0, 1, 4], 0.9)).max() < BOUNDARY


def test_the_boundary_of_the_replay_agrees_with_theory() -> None:
    """By halving, all delays and momenta at once; it left, or the swing grew in its second half."""
    tau, momentum = np.array([0, 1, 2, 4, 8])[:, None], np.array([-0.5, 0.0, 0.5, 0.9])
    delays = constant(np.broadcast_to(tau, (5, 4)), 2400)
    fade = np.sin(np.pi * (np.arange(600) + 0.5) / 600)[:, None, None]
    low, high = np.zeros((5, 4)), np.full((5, 4), 4.0)
    for _ in range(16):  # to 6e-5
        step = (low + high) / 2
        run = replay(delays, step, momentum)
        middle, end = (((fade * part) ** 2).sum(axis=0) for part in (run.w[-1800:-1200], run.w[-600:]))
        unstable = run.diverged | (end > middle)
        low, high = np.where(unstable, low, step), np.where(unstable, step, high)
    assert np.abs((low + high) / 2 - study.critical_step(tau, momentum)).max() < BOUNDARY


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("momentum", [-0.5, 0.0, 0.9])
def test_a_server_with_workers_in_turns_has_the_boundary_of_delay_d_minus_1(workers: int, momentum: float) -> None:
    expected = float(study.critical_step(workers - 1, momentum))
    assert study.served_boundary(workers, momentum) == pytest.approx(expected, abs=SERVED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"^workers=0 must be a whole number of at least 1$"),
        ((2.5,), r"^workers=2.5 must be a whole number"),
        ((2, 1.0), r"^momentum=1.0 must lie between -1 and 1"),
        ((2, 0.0, 100), r"^updates=100 must be a whole number of at least 128$"),
    ],
)
def test_a_boundary_that_cannot_be_measured_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study.served_boundary(*arguments)


@given(st.integers(0, 8), momenta, st.floats(0.01, 1.0))
@settings(max_examples=40)
def test_a_run_with_momentum_is_a_power_of_the_companion_matrix(tau: int, momentum: float, step: float) -> None:
    matrix = study.companion_matrix(tau, step, momentum)
    expected = np.linalg.matrix_power(matrix, 30) @ np.ones(len(matrix))
    runs = study.iterate_with_momentum(tau, step, momentum)
    run = [float(next(runs)) for _ in range(31)]
    assert run[-1] == pytest.approx(expected[0], abs=SAME_MATH * np.abs(run).max())


def test_runs_with_momentum_stop_at_the_limit() -> None:
    for _, w in zip(range(3000), study.iterate_with_momentum([0, 3], [5.0, 2.0], -0.9), strict=False):
        last = w
    assert (np.abs(last) == study.LIMIT).all()


# ---- noise


@pytest.mark.parametrize("tau", [0, 1, 2, 5])
@pytest.mark.parametrize("momentum", [0.0, 0.5, -0.4])
def test_stationary_variance_is_what_long_runs_have(tau: int, momentum: float) -> None:
    step = 0.4 * float(study.critical_step(tau, momentum))
    rng = np.random.default_rng(tau)
    runs = replay(constant(tau, 1500), np.full(800, step), momentum, start=0.0, noise=1.0, rng=rng)
    measured = runs.w[400:].var()
    theory = step**2 * study.stationary_variance(tau, step, momentum)  # eta = step: the curvature is 1
    assert measured == pytest.approx(theory, rel=SAMPLED)


@given(st.floats(0.05, 0.95))
def test_stationary_variance_has_its_closed_forms(step: float) -> None:
    assert study.stationary_variance(0, step) == pytest.approx(1 / (step * (2 - step)), rel=SAME_MATH)
    closed = (1 + step) / ((1 - step) * step * (2 + step))
    assert study.stationary_variance(1, step) == pytest.approx(closed, rel=SAME_MATH)


def test_the_covariance_solves_the_lyapunov_equation() -> None:
    matrix = study.companion_matrix(4, 0.2, 0.3)
    covariance = study.stationary_covariance(matrix)
    noise = np.zeros_like(matrix)
    noise[0, 0] = 1
    assert matrix @ covariance @ matrix.T + noise == pytest.approx(covariance, rel=SAME_MATH * 100)


# ---- delays by chance


def lifted_radius(law: Any, momentum: float, step: float) -> float:
    """Largest eigenvalue of the mean of A (x) A over the law: how the mean square of all states grows."""
    size = max(len(law), 2)
    total = np.zeros((size**2, size**2))
    for delay, chance in enumerate(law):
        matrix = np.eye(size, k=-1)
        matrix[0, :2] += 1 + momentum, -momentum
        matrix[0, delay] -= step
        total += chance * np.kron(matrix, matrix)
    return float(np.abs(np.linalg.eigvals(total)).max())


laws = st.lists(st.integers(1, 9), min_size=1, max_size=5).map(lambda counts: np.array(counts) / sum(counts))


@given(laws, st.sampled_from([0.0, 0.5, -0.4]))
@settings(max_examples=30)
def test_mean_square_boundary_is_that_of_the_second_moments(law: Any, momentum: float) -> None:
    step = study.mean_square_boundary(law, momentum)
    assert lifted_radius(law, momentum, step * (1 - 1e-4)) < 1 < lifted_radius(law, momentum, step * (1 + 1e-4))
    assert step <= study.mean_boundary(law, momentum) * (1 + ROOTS)


@given(laws, st.sampled_from([0.0, 0.5, -0.4]))
@example(np.array([2, 1, 1, 2]) / 6, 0.0)  # the mean gradient vanishes at z = -1: nothing leaves there
@example(np.array([4, 1, 1, 4]) / 10, 0.5)
@example(np.array([0, 1, 1, 1]) / 3, 0.0)  # a root leaves at 36 degrees exactly, one of the angles that are looked at
@example(np.ones(9) / 9, 0.0)  # it vanishes at eight places
@settings(max_examples=30)
def test_mean_boundary_is_that_of_the_mean_recursion(law: Any, momentum: float) -> None:
    step = study.mean_boundary(law, momentum)

    def radius(factor: float) -> float:
        matrix = random_delay.mean_companion(law, momentum, step * factor)
        return float(np.abs(np.linalg.eigvals(matrix)).max())

    assert radius(1 - 1e-6) < 1 < radius(1 + 1e-6)
    assert max(radius(factor) for factor in np.linspace(0.02, 0.98, 25)) < 1  # and it is the first


@pytest.mark.parametrize("tau", [0, 1, 2, 3, 8])
def test_one_delay_has_one_boundary(tau: int) -> None:
    law, theory = random_delay.fixed(tau), study.critical_step(tau, 0.3)
    assert study.mean_boundary(law, 0.3) == pytest.approx(theory, abs=ROOTS)
    assert study.mean_square_boundary(law, 0.3) == pytest.approx(theory, abs=BOUNDARY)


def test_geometric_delays_have_a_mean_that_bears_nearly_anything() -> None:
    for workers in (2, 3, 5):
        law = random_delay.geometric(workers - 1)
        assert study.mean_boundary(law) == pytest.approx(4 * workers - 2, rel=1e-5)  # the law is cut at 1e-9
        assert study.mean_square_boundary(law) < 1.2


def test_single_runs_end_where_they_are_measured_to() -> None:
    rng = np.random.default_rng(0)
    assert study.typical_boundary(random_delay.fixed(3), rng) == pytest.approx(study.critical_step(3), rel=SAMPLED)
    law = random_delay.uniform(0, 4)
    step = study.typical_boundary(law, rng)
    assert study.mean_square_boundary(law) < step
    delays = random_delay.draw(law, (4000, 20), rng)
    shrinking, growing = replay(delays, 0.9 * step), replay(delays, 1.1 * step)
    # Above the boundary of the mean square a run may leave for good before it dies out; few do.
    assert np.median(np.abs(shrinking.w[-1])) < 1e-3
    assert shrinking.diverged.mean() < 0.2
    assert growing.diverged.all()


@pytest.mark.parametrize("law", ["constant", "uniform", "Poisson", "geometric"])
@pytest.mark.parametrize("mean", [0, 1, 3])
def test_laws_have_their_mean_and_draws_follow_them(law: str, mean: int) -> None:
    chances = random_delay.LAWS[law](mean)
    assert chances.sum() == pytest.approx(1, abs=SAME_MATH)
    assert chances @ np.arange(len(chances)) == pytest.approx(mean, abs=1e-7)
    drawn = random_delay.draw(chances, (50_000,), np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(mean, rel=SAMPLED)
    seen = np.append(random_delay.observed(drawn), np.zeros(len(chances)))[: len(chances)]
    assert seen == pytest.approx(chances, abs=0.01)


# ---- shifted momentum


@pytest.mark.parametrize("tau", [0, 1, 3])
@pytest.mark.parametrize("momentum", [-0.3, 0.5])
def test_shifted_momentum_leaves_where_its_polynomial_does(tau: int, momentum: float) -> None:
    step = boundary_of(lambda s: shifted_polynomial(tau, s, momentum))
    steps = step * np.array([0.97, 1.03])
    run = replay(constant(tau, 2500), steps, rule=shifted_momentum(momentum, tau))
    assert np.abs(run.w[-1, 0]) < 1 < np.abs(run.w[-20:, 1]).max()
    assert (step < study.critical_step(tau, momentum)) == (momentum < 0 and tau > 0) or tau == 0


# ---- bounds


@given(st.floats(0.05, 5.0), st.floats(0.05, 20.0))
def test_bounds_keep_their_units(loss_unit: float, weight_unit: float) -> None:
    gap, smoothness, variance, lr, distance = 2.0, 3.0, 0.7, 0.05, 1.5
    curvature_unit, gradient_unit = loss_unit / weight_unit**2, (loss_unit / weight_unit) ** 2
    other = (smoothness * curvature_unit, variance * gradient_unit, lr / curvature_unit, 200)
    synchronous = study.synchronous_bound(gap, smoothness, variance, lr, 200, workers=3)
    assert study.synchronous_bound(gap * loss_unit, *other, workers=3) == pytest.approx(synchronous * gradient_unit)
    asynchronous = study.asynchronous_bound(gap, smoothness, variance, lr, 200, tau=4)
    assert study.asynchronous_bound(gap * loss_unit, *other, tau=4) == pytest.approx(asynchronous * gradient_unit)
    convex = study.convex_bound(distance, smoothness, variance, lr, 200)
    assert study.convex_bound(distance * weight_unit, *other) == pytest.approx(convex * loss_unit)


@pytest.mark.parametrize("tau", [0, 2, 6])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_bounds_hold_for_runs(tau: int, share: float) -> None:
    rng = np.random.default_rng(tau)
    # The largest lr L of which the bound says anything: the root of x + 2 tau^2 x^2 = 1.
    largest = 1.0 if tau == 0 else (np.sqrt(1 + 8 * tau**2) - 1) / (4 * tau**2)
    lr, updates = share * float(largest), 60
    runs = replay(constant(tau, updates), np.full(4000, lr), start=2.0, noise=0.5, rng=rng).w
    bound = study.asynchronous_bound(gap=2.0, smoothness=1.0, variance=0.25, lr=lr, updates=updates, tau=tau)
    assert (runs[:-1] ** 2).mean() < bound
    if tau == 0:
        assert (runs[:-1] ** 2).mean() < study.synchronous_bound(2.0, 1.0, 0.25, lr, updates)
        loss = (runs[1:].mean(axis=0) ** 2).mean() / 2
        assert loss < study.convex_bound(distance=2.0, smoothness=1.0, variance=0.25, lr=lr, updates=updates)


def test_no_staleness_is_the_synchronous_bound_of_one_worker() -> None:
    arguments = {"gap": 1.0, "smoothness": 2.0, "variance": 3.0, "lr": 0.1, "updates": 50}
    assert study.asynchronous_bound(**arguments, tau=0) == study.synchronous_bound(**arguments)
    assert study.asynchronous_bound(**arguments, tau=1) > study.synchronous_bound(**arguments)


# ---- bad arguments


@pytest.mark.parametrize("momentum", [1, -1, 1.5, float("nan"), [0.5, 2.0]])
def test_momentum_must_lie_between_minus_one_and_one(momentum: Any) -> None:
    for function in (study.critical_step, study.measured_boundary_with_momentum):
        with pytest.raises(ValueError, match=r"^momentum=.* must lie between -1 and 1, both excluded$"):
            function(2, momentum)


def test_other_arguments_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^step=0.7 must lie between 0 and 0.618034, the critical step at tau=2$"):
        study.stationary_variance(2, 0.7)
    with pytest.raises(ValueError, match="never settles"):
        study.stationary_covariance(study.companion_matrix(1, 1.01))
    with pytest.raises(ValueError, match=r"^probabilities must be numbers of at least 0 in one row, with the sum 1$"):
        study.mean_boundary([0.5, 0.6])
    with pytest.raises(ValueError, match=r"^low=-1 must be a whole number of at least 0$"):
        random_delay.uniform(-1, 3)
    with pytest.raises(ValueError, match=r"^high=1 must be a whole number of at least 3$"):
        random_delay.uniform(3, 1)
    with pytest.raises(ValueError, match=r"^mean=-2 must be at least 0 and finite$"):
        random_delay.poisson(-2)
    with pytest.raises(ValueError, match=r"^lr=0.9 is too large for this bound"):
        study.asynchronous_bound(1, 1, 1, 0.9, 10, tau=3)
    with pytest.raises(ValueError, match=r"^lr=1 is too large for this bound"):
        study.convex_bound(1, 1, 1, 1, 10)
    with pytest.raises(ValueError, match=r"^workers=0 must be a whole number of at least 1$"):
        study.synchronous_bound(1, 1, 1, 0.1, 10, workers=0)
