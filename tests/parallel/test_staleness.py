"""The staleness study: theory against roots, runs against a plain loop, both measured boundaries against theory."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from parallel.studies import staleness as study
from parallel.studies.staleness import plot

# Rows of the tolerance table in docs/conventions.md.
BOUNDARY = 1e-4
SAME_MATH = 1e-12
OUTSIDE = 1e-10

delays = st.integers(0, 12)
steps = st.floats(0.01, 2.5)


def one_run(tau: int, step: float, iterations: int) -> list[float]:
    """The recursion as it stands on paper, for one cell and without a limit."""
    w = [1.0]
    for t in range(iterations):
        w.append(w[t] - step * w[max(t - tau, 0)])
    return w


# ---- theory


def test_critical_step_has_the_published_values() -> None:
    expected = {0: 2, 1: 1, 2: 0.618034, 3: 0.445042, 4: 0.347296, 5: 0.284630, 10: 0.149460, 32: 0.048327}
    for tau, value in expected.items():
        assert study.critical_step(tau) == pytest.approx(value, abs=5e-7)  # as many digits as are printed
    assert study.critical_step(np.arange(6)).shape == (6,)


@pytest.mark.parametrize("tau", [0, 1, 2, 3, 4, 5, 8, 32, 64])
def test_a_root_reaches_the_unit_circle_at_the_critical_step(tau: int) -> None:
    step = study.critical_step(tau)
    z = np.exp(1j * np.pi / (2 * tau + 1))
    assert abs(np.polyval(study.characteristic_polynomial(tau, step), z)) < SAME_MATH
    assert study.spectral_radius(tau, step) == pytest.approx(1, abs=SAME_MATH)
    assert study.spectral_radius(tau, 0.99 * step) < 1 < study.spectral_radius(tau, 1.01 * step)


@given(delays, steps)
def test_spectral_radius_is_the_largest_root(tau: int, step: float) -> None:
    # Where two roots meet, at the fastest step, a root moves by the square root of a rounding error.
    assume(abs(step - study.fastest_step(tau)) > 1e-2)
    largest = abs(np.roots(study.characteristic_polynomial(tau, step))).max()
    assert study.spectral_radius(tau, step) == pytest.approx(largest, rel=OUTSIDE)


def test_spectral_radius_takes_many_steps_at_once() -> None:
    grid = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    radii = study.spectral_radius(3, grid)
    assert radii.shape == grid.shape
    assert radii[1, 2] == study.spectral_radius(3, 0.6)


def test_fastest_step_has_the_published_values_and_rates() -> None:
    for tau, step, rate in [(1, 0.25, 0.5), (2, 0.1481, 0.6667), (4, 0.0819, 0.8)]:
        assert study.fastest_step(tau) == pytest.approx(step, abs=5e-5)  # as many digits as are printed
        assert study.spectral_radius(tau, study.fastest_step(tau)) == pytest.approx(rate, abs=BOUNDARY)


@pytest.mark.parametrize("tau", [1, 2, 3, 8, 32])
def test_no_step_shrinks_the_weight_faster(tau: int) -> None:
    fastest = study.fastest_step(tau)
    others = study.spectral_radius(tau, fastest * np.array([0.5, 0.9, 0.99, 1.01, 1.1, 2]))
    assert (others > study.spectral_radius(tau, fastest)).all()


# ---- the recursion


@given(st.lists(st.tuples(delays, steps), min_size=1, max_size=5), st.integers(0, 60))
def test_many_runs_at_once_equal_plain_loops(cells: list[tuple[int, float]], iterations: int) -> None:
    tau, step = (np.array(column) for column in zip(*cells, strict=True))
    runs = study.simulate_quadratic(tau, step, iterations)
    assert runs.shape == (iterations + 1, len(cells))
    for run, cell in zip(runs.T, cells, strict=True):
        assert run.tolist() == one_run(*cell, iterations)  # row `bits`


@given(delays, steps)
def test_a_run_is_a_power_of_the_companion_matrix(tau: int, step: float) -> None:
    companion = np.eye(tau + 1, k=-1)
    companion[0, 0] = 1
    companion[0, tau] -= step
    expected = np.linalg.matrix_power(companion, 40) @ np.ones(tau + 1)
    run = study.simulate_quadratic(tau, step, 40)
    assert run[-1] == pytest.approx(expected[0], abs=SAME_MATH * np.abs(run).max())


def test_delays_and_steps_broadcast() -> None:
    runs = study.simulate_quadratic(np.arange(4)[:, None], [0.1, 0.3, 0.5], 7)
    assert runs.shape == (8, 4, 3)
    assert runs[:, 2, 1].tolist() == one_run(2, 0.3, 7)


def test_divergence_is_held_at_the_limit() -> None:
    runs = study.simulate_quadratic([0, 3], [5.0, 50.0], 3000)
    assert np.isfinite(runs).all()
    assert (np.abs(runs[-1]) == study.LIMIT).all()
    assert (runs[-1] == runs[-500]).all()


# ---- the boundary


def test_both_measured_boundaries_agree_with_theory() -> None:
    tau = np.arange(33)
    assert np.abs(study.measured_boundary(tau) - study.critical_step(tau)).max() < BOUNDARY
    assert np.abs(study.measured_boundary_by_running(tau) - study.critical_step(tau)).max() < BOUNDARY


def test_a_boundary_can_be_measured_for_one_delay() -> None:
    calls: list[None] = []
    assert study.measured_boundary(2, lambda: calls.append(None)) == pytest.approx(0.618034, abs=BOUNDARY)
    assert len(calls) == study.HALVINGS
    assert np.shape(study.measured_boundary_by_running(2)) == ()


# ---- the map


def test_each_cell_of_the_map_is_its_own_run() -> None:
    growth = study.sweep(3, [0.05, 0.3, 0.7, 2.5], iterations=50)
    assert growth.log10_growth.shape == (4, 4)
    for tau in range(4):
        for column, step in enumerate(growth.step):
            last = np.array(one_run(tau, step, 50)[-(2 * tau + 1) :])
            expected = np.log10(np.sqrt(np.mean(last**2)))
            assert growth.log10_growth[tau, column] == pytest.approx(expected, rel=SAME_MATH)


def test_the_map_changes_its_sign_at_the_critical_step() -> None:
    growth = study.sweep(16, np.geomspace(0.01, 3, 100), iterations=3000)
    ratio = growth.step / study.critical_step(growth.tau)[:, None]
    clear = np.abs(np.log(ratio)) > 0.02
    assert ((growth.log10_growth > 0) == (ratio > 1))[clear].all()


def test_the_map_never_holds_infinity() -> None:
    growth = study.sweep(2, [1.0, 1000.0], iterations=5000)  # step 1 at tau 0 ends at exactly 0
    assert growth.log10_growth[0].tolist() == [-100, 100]
    assert np.isfinite(growth.log10_growth).all()


def test_the_map_with_momentum_changes_its_sign_at_its_critical_step() -> None:
    growth = study.sweep(8, np.geomspace(0.005, 3, 60), iterations=4000, momentum=0.8)
    ratio = growth.step / study.critical_step(growth.tau, 0.8)[:, None]
    clear = np.abs(np.log(ratio)) > 0.05
    assert ((growth.log10_growth > 0) == (ratio > 1))[clear].all()


@pytest.mark.parametrize("max_tau", [0, 1, 20])
def test_the_picture_shows_the_numbers(max_tau: int) -> None:
    growth = study.sweep(max_tau, plot.step_grid(max_tau), 100)
    measured = study.stability_boundary(max_tau)
    axes = plot.draw(growth, measured).axes[0]
    assert np.array_equal(axes.collections[0].get_array(), growth.log10_growth.T)
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    theory = next(label for label in drawn if label.startswith("critical step in theory"))
    assert np.array_equal(drawn[theory], measured.theory)
    assert np.array_equal(drawn["measured by running the recursion"], measured.by_running)
    assert np.array_equal(drawn["measured from the spectral radius"], measured.by_radius)


# ---- bad arguments


@pytest.mark.parametrize("tau", [-1, 1.5, "three", True, None, [1, -2], np.array([0.0])])
def test_delays_must_be_whole_and_not_negative(tau: Any) -> None:
    for function in (study.critical_step, study.fastest_step, study.measured_boundary):
        with pytest.raises(ValueError, match=r"^tau=.* must be a whole number of at least 0$"):
            function(tau)
    with pytest.raises(ValueError, match="tau="):
        study.simulate_quadratic(tau, 0.1, 5)


def test_other_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^step=nan must be finite$"):
        study.simulate_quadratic(1, float("nan"), 5)
    with pytest.raises(ValueError, match=r"^start=inf must be finite$"):
        study.simulate_quadratic(1, 0.1, 5, start=float("inf"))
    with pytest.raises(ValueError, match=r"^iterations=-1 must be a whole number of at least 0$"):
        study.simulate_quadratic(1, 0.1, -1)
    with pytest.raises(ValueError, match=r"^iterations=50 must be a whole number of at least 68$"):
        study.measured_boundary_by_running(8, iterations=50)
    with pytest.raises(ValueError, match=r"^max_tau=-1 must be a whole number of at least 0$"):
        study.sweep(-1, [0.1])
    with pytest.raises(ValueError, match=r"^step_grid must have one dimension"):
        study.sweep(1, 0.1)


def test_importing_the_study_loads_only_numpy() -> None:
    script = (
        "import sys, parallel.studies.staleness, parallel.studies.staleness.plot, parallel.server,"
        " parallel.studies.staleness.pictures, parallel.studies.staleness.page,"
        " parallel.studies.async_logistic, minigrad.commands.staleness;"
        "print({'matplotlib', 'mpi4py', 'greenlet', 'rich', 'scipy'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"
