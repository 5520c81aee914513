"""The links of this machine: the fit finds what was put in, and the command writes what it promises.

Tolerances: `same-math` for fits of exact lines, `virtual-time` in the simulated world. Real timings are only checked
for being there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import cli
from parallel import Cluster, simulate
from parallel.cluster import named_cluster, read_cluster
from parallel.studies.links import SIZES, LinkMeasurement, find_step, fit_link, measure_links, ping_pong

ROOT = Path(__file__).parents[2]
ALPHAS, BETAS = st.floats(1e-8, 1e-4), st.floats(1e-12, 1e-8)
N = np.array(SIZES, np.float64)


def test_the_sizes_are_those_promised():
    assert (SIZES[0], SIZES[-1]) == (0, 8 * 2**20)
    assert sorted(set(SIZES)) == list(SIZES)
    assert {2**k for k in range(24)} <= set(SIZES)


@settings(max_examples=40, deadline=None)
@given(ALPHAS, BETAS)
def test_a_line_is_found_again(alpha, beta):
    fit = fit_link(N, alpha + beta * N)
    assert fit.alpha == pytest.approx(alpha, rel=1e-9)
    assert fit.beta == pytest.approx(beta, rel=1e-9)
    assert fit.r2 == pytest.approx(1.0, abs=1e-12)
    assert fit.largest_error < 1e-9
    assert find_step(N, alpha + beta * N) is None


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-7, 1e-5), st.floats(1e-11, 1e-8), st.integers(0, 100))
def test_noise_moves_both_numbers_alike_and_shows_in_r2(alpha, beta, seed):
    noise = np.exp(0.05 * np.random.default_rng(seed).standard_normal(N.size))
    fit = fit_link(N, (alpha + beta * N) * noise)
    assert fit.alpha == pytest.approx(alpha, rel=0.12)  # an ordinary fit misses alpha by factors here
    assert fit.beta == pytest.approx(beta, rel=0.12)
    assert 0.9 < fit.r2 < 1.0


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 36), st.floats(1.5, 10.0))
def test_a_step_is_found_where_it_is(cut, factor):
    seconds = 1e-6 + 1e-10 * N
    seconds[cut:] += (factor - 1.0) * seconds[cut]
    step = find_step(N, seconds)
    assert step is not None
    assert (step.below, step.above) == (SIZES[cut - 1], SIZES[cut])
    assert step.factor == pytest.approx(factor, rel=1e-6)
    assert step.rendezvous.alpha > step.eager.alpha == pytest.approx(1e-6, rel=1e-9)


def test_neither_number_is_ever_negative():
    assert fit_link([10, 20, 30], [1e-6, 3e-6, 5e-6]).alpha == 0.0
    assert fit_link([10, 20, 30], [5e-6, 3e-6, 1e-6]).beta == 0.0


@pytest.mark.parametrize(
    ("nbytes", "seconds", "sentence"),
    [
        ([0, 1], [1.0, 1.0], "give 3 or more"),
        ([5, 5, 5], [1.0, 1.0, 1.0], "not one size"),
        ([0, 1, 2], [1.0, 1.0], "seconds 2 times"),
        ([0, 1, 2], [1.0, 0.0, 1.0], "must be finite and above 0"),
        ([0, 1, 2], [1.0, np.nan, 1.0], "must be finite and above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(nbytes, seconds, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_link(nbytes, seconds)


@pytest.mark.parametrize("ranks", [2, 4])
def test_ping_pong_in_the_simulated_world_measures_its_cluster(ranks):
    sizes = (0, 1, 1000, 10_000)
    cluster = Cluster(alpha=2e-6, beta=5e-10)
    seconds = simulate(ping_pong, ranks, cluster, args=(sizes, 1), trace=False).results[0]
    assert seconds == pytest.approx(cluster.alpha + cluster.beta * np.array(sizes), rel=1e-9)
    fit = fit_link(sizes, seconds)
    assert (fit.alpha, fit.beta) == (pytest.approx(2e-6, rel=1e-9), pytest.approx(5e-10, rel=1e-9))


def test_ping_pong_wants_pairs():
    with pytest.raises(ValueError, match="ranks=3 must be even"):
        simulate(ping_pong, 3)


@pytest.mark.parametrize("ranks", [3, 0, -2, 2.0, True])
def test_ranks_that_cannot_play_are_refused(ranks):
    with pytest.raises((ValueError, TypeError), match=f"ranks={ranks} must be"):
        measure_links(ranks)


def test_it_is_not_run_inside_another_job(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="run this without mpirun around it"):
        measure_links()


# ---- the command


def test_the_command_measures_and_keeps_the_laptop(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    out = tmp_path / "out"
    assert cli.main(["bench", "links", "--passes", "1", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"links.png", "links.svg", "links.csv", "laptop.json"}
    rows = (out / "links.csv").read_text().splitlines()
    assert rows[0] == "bytes,seconds,fitted"
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(SIZES)
    kept = read_cluster(tmp_path / "config" / "minigrad" / "laptop.json")
    assert kept == read_cluster(out / "laptop.json") == named_cluster("laptop")
    assert 1e-8 < kept.alpha < 1e-2
    assert 1e-12 < kept.beta < 1e-6
    assert kept.device(0).flops["float32"] > 1e8
    about = json.loads((out / "laptop.json").read_text())["about"]
    assert {"measured", "machine", "mpi", "ranks", "r2"} <= set(about)
    text = capfd.readouterr().out
    assert "alpha" in text
    assert "R^2" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["links", "--ranks", "3"], "ranks=3 must be an even number from 2 to 64"),
        (["links", "--ranks", "two"], "ranks=two must be an even number"),
        (["links", "--ranks", "1000"], "ranks=1000 must be an even number"),
        (["links", "--passes", "0"], "passes=0 must be a whole number from 1 to 1000"),
        (["links", "--out", __file__], f"--out {__file__} must be a folder, it is a file"),
        ([], "name what to measure: links"),
    ],
)
def test_nonsense_is_refused_in_a_line(arguments, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("MINIGRAD_DEBUG", raising=False)
    assert cli.main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_debug_shows_the_traceback_wherever_it_stands():
    for arguments in (["--debug", "links", "--ranks", "3"], ["links", "--ranks", "3", "--debug"]):
        with pytest.raises(ValueError, match="ranks=3"):
            cli.main(["bench", *arguments])


def test_each_bench_explains_itself(capsys):
    from minigrad.commands.bench import BENCHES

    for name in BENCHES:
        with pytest.raises(SystemExit, match="0"):
            cli.main(["bench", name, "--help"])
        text = capsys.readouterr().out
        assert f"usage: minigrad bench {name}" in text
        assert "examples:" in text


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    def restore():
        signal.signal(signal.SIGINT, signal.default_int_handler)

    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "minigrad.cli", "bench", "links", "--out", str(tmp_path / "out")],
        env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=restore,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(temporary.glob("minigrad-links-*/progress")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1] == "minigrad bench: interrupted"
    assert list(temporary.glob("minigrad-links-*")) == []
    assert list((tmp_path / "out").iterdir()) == []


def test_a_measurement_without_a_step_says_so(capsys, tmp_path):
    from minigrad.commands.bench_links import report
    from parallel.studies.links import draw_links

    seconds = 1e-6 + 1e-10 * N
    fit, step = fit_link(N, seconds), find_step(N, seconds)
    measured = LinkMeasurement(2, np.array(SIZES), seconds, "Open MPI", fit, step, "2026-01-01", "x86_64")
    report(measured)
    assert "none to be seen" in capsys.readouterr().out
    assert "step" not in measured.about()
    draw_links(measured, tmp_path / "links.svg")
    assert "eager" not in (tmp_path / "links.svg").read_text()
