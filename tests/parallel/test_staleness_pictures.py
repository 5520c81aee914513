"""`minigrad staleness`: every picture with its numbers, the page in a browser, and the networks behind one of them."""

import argparse
import html
import math
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minigrad.cli import main
from minigrad.commands import staleness as command
from parallel.studies import staleness as study
from parallel.studies.staleness import network, pictures
from parallel.studies.staleness.delays import constant
from parallel.studies.staleness.page import TEMPLATE, page
from parallel.studies.staleness.pictures import remedies as remedies_picture
from parallel.studies.staleness.replay import replay

# Rows of the tolerance table in docs/conventions.md.
SAME_MATH = 1e-12
TRIAL = 0.05

SMALL = pictures.Settings(max_tau=5, seeds=1)
QUICK = [name for name in pictures.PICTURES if name != "network"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """All pictures but the network's, measured once and written to a folder."""
    folder = tmp_path_factory.mktemp("pictures")
    results = {}
    for name in QUICK:
        module = pictures.PICTURES[name].load()
        calls: list[None] = []
        with threadpool_limits(limits=1):  # as the command does
            results[name] = (module.measure(SMALL, lambda calls=calls: calls.append(None)), folder)
        assert len(calls) == module.work(SMALL), name  # the progress bar ends where it should
        pictures.write(name, results[name][0], folder)
    return results


@pytest.mark.parametrize("name", QUICK)
def test_each_picture_is_written_three_times(name: str, made: dict[str, tuple[Any, Path]]) -> None:
    result, folder = made[name]
    assert (folder / f"staleness-{name}.png").read_bytes().startswith(b"\x89PNG")
    svg = (folder / f"staleness-{name}.svg").read_text(encoding="utf-8")
    assert "<svg" in svg
    assert not re.search(r"\bnan\b|\binf\b", svg, re.IGNORECASE)
    lines = (folder / f"staleness-{name}.csv").read_text(encoding="utf-8").splitlines()
    columns = pictures.PICTURES[name].load().columns(result)
    assert lines[0] == ",".join(columns)
    assert len(lines) == 1 + len(next(iter(columns.values())))
    assert all(line.count(",") == len(columns) - 1 for line in lines)
    assert not re.search(r"\bnan\b|\binf\b", "\n".join(lines), re.IGNORECASE)


def test_the_same_numbers_give_the_same_files(made: dict[str, tuple[Any, Path]], tmp_path: Path) -> None:
    result, folder = made["boundary"]
    for path in pictures.write("boundary", result, tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_never_written(
    bad: float, made: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^column b of x.csv holds a number that is not finite$"):
        pictures.csv_text("x.csv", {"a": [1, 2], "b": np.array([0.5, bad])})
    result = made["boundary"][0]
    broken = result._replace(by_running=np.full_like(result.by_running, bad))
    with pytest.raises(ValueError, match=r"of staleness-boundary.csv holds a number that is not finite$"):
        pictures.write("boundary", broken, tmp_path)
    assert not list(tmp_path.iterdir())


def test_whoever_interrupts_the_writing_finds_no_half_of_a_file(
    made: dict[str, tuple[Any, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of the first, second or third file, over whole ones of an earlier run."""
    result, _ = made["boundary"]
    before = pictures.write("boundary", result, tmp_path)
    contents = [path.read_bytes() for path in before]
    for stop in (1, 2, 3):
        writes = iter(range(1, 9))

        def interrupted(file: int, writes: Any = writes, stop: int = stop) -> None:
            if next(writes) == stop:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                pictures.write("boundary", result, tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted(before)
        assert [path.read_bytes() for path in before] == contents


def test_the_boundary_picture_shows_theory_and_measurement(made: dict[str, tuple[Any, Path]]) -> None:
    result, _ = made["boundary"]
    assert np.abs(result.by_running - result.theory).max() < 1e-4  # row `boundary`
    axes = pictures.PICTURES["boundary"].load().draw(result).axes[0]
    drawn = [line.get_ydata() for line in axes.lines]
    for column in range(4):
        assert any(np.array_equal(data, result.by_running[:, column]) for data in drawn)


def test_the_remedies_picture_tells_which_division_helps(made: dict[str, tuple[Any, Path]]) -> None:
    result, _ = made["remedies"]
    last = [float(np.abs(run.w[-34:]).max()) for run in result.divided]
    assert last[0] > 1e9  # as it is
    assert last[1] > last[2] > 10  # divided by tau, by tau + 1
    assert last[3] < 0.01  # divided by 2 tau + 1
    largest = dict(zip([recipe.name for recipe in remedies_picture.RECIPES], result.largest, strict=True))
    critical = float(study.critical_step(8))
    assert largest["plain"] == pytest.approx(critical, rel=0.02)  # as fine as the steps that are tried
    assert largest["rate / (2τ + 1)"] == pytest.approx(17 * critical, rel=0.02)
    assert largest["momentum −0.5"] == pytest.approx(float(study.critical_step(8, -0.5)), rel=0.02)
    assert largest["Hessian known"] == pytest.approx(2, rel=0.02)
    assert largest["gap penalty"] > 2 * critical


# ---- the page


def test_the_page_is_one_file_with_all_pictures(made: dict[str, tuple[Any, Path]]) -> None:
    _, folder = made["map"]
    text = page(QUICK, folder)
    assert text.count("data:image/svg+xml;base64,") == len(QUICK)
    for name in QUICK:
        assert html.escape(pictures.PICTURES[name].caption) in text
    without_data = re.sub(r"base64,[^\"]*", "", text)
    assert not re.search(r"https?://|@import|<link|src=\"(?!data:)", without_data)


def in_browser(path: Path, query: str = "") -> dict[str, float]:
    """What the page has written into its body's data attributes, after headless Chromium has run it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: the page's program is not run")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    done = subprocess.run(
        [browser, *arguments, f"--user-data-dir={path.parent / 'profile'}", f"{path.as_uri()}{query}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    (body,) = re.findall(r"<body[^>]*>", done.stdout)
    return {name: float(value) for name, value in re.findall(r'data-(\w+)="([^"]*)"', body)}


@pytest.fixture(scope="module")
def bare_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page without pictures."""
    path = tmp_path_factory.mktemp("page") / "staleness.html"
    path.write_text(page([], path.parent), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("tau", "step", "momentum"), [(8, 0.145, 0.0), (0, 1.3, 0.5), (2, 0.15, -0.9), (32, 0.004, 0.9), (8, 0.5, 0.0)]
)
def test_the_browser_computes_what_python_does(bare_page: Path, tau: int, step: float, momentum: float) -> None:
    seen = in_browser(bare_page, f"#tau={tau}&step={step}&momentum={momentum}")
    assert seen["critical"] == pytest.approx(float(study.critical_step(tau, momentum)), rel=SAME_MATH)
    updates = max(80, 24 * tau + 24)
    run = replay(constant(tau, updates), step, momentum)
    if run.diverged:
        assert seen["updates"] == run.left_at
        assert abs(seen["last"]) == pytest.approx(float(run.norm_at_exit), rel=SAME_MATH)
    else:
        assert seen["updates"] == updates
        assert seen["last"] == pytest.approx(float(run.w[-1]), abs=SAME_MATH * float(np.abs(run.w).max()))


@pytest.mark.parametrize("query", ["#tau=many&step=-1&momentum=1", "#tau=&step=Infinity&momentum=x"])
def test_an_address_that_makes_no_sense_is_left_aside(bare_page: Path, query: str) -> None:
    seen = in_browser(bare_page, query)
    assert (seen["tau"], seen["step"], seen["momentum"]) == (8, 0.145, 0)


@pytest.mark.parametrize(
    ("does", "tau", "step", "momentum"),
    [
        ("move('tau', 3)", 3, 0.145, 0.0),
        ("move('step', -1)", 8, 0.1, 0.0),
        ("move('momentum', 0.5)", 8, 0.145, 0.5),
        ("document.querySelector('[data-factor=\"1.1\"]').click()", 8, 1.1 * float(study.critical_step(8)), 0.0),
    ],
)
def test_the_sliders_redraw(bare_page: Path, does: str, tau: int, step: float, momentum: float, tmp_path: Path) -> None:
    program = (
        "const before = document.getElementById('run').innerHTML;"
        "const move = (id, value) => { const slider = document.getElementById(id); slider.value = value;"
        " slider.dispatchEvent(new Event('input')); };"
        f"{does};"
        "document.body.dataset.redrawn = Number(before !== document.getElementById('run').innerHTML);"
    )
    moved = tmp_path / "moved.html"
    text = bare_page.read_text(encoding="utf-8")
    moved.write_text(text.replace("</body>", f"<script>{program}</script></body>"), encoding="utf-8")
    seen = in_browser(moved)
    assert seen["redrawn"] == 1
    assert (seen["tau"], seen["momentum"]) == (tau, momentum)
    assert seen["step"] == pytest.approx(step, rel=1e-9)


def test_the_template_has_one_place_for_the_pictures() -> None:
    assert TEMPLATE.read_text(encoding="utf-8").count("$FIGURES") == 1


# ---- the command


def test_the_command_writes_pictures_numbers_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    assert main(["staleness", "momentum", "map", "map", "--max-tau", "5", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    names = [f"staleness-{name}.{end}" for name in ("map", "momentum") for end in ("png", "svg", "csv")]
    assert {path.name for path in out.iterdir()} == {*names, "staleness.html"}
    for name in names:
        assert str(out / name) in printed
    assert "0.284630" in printed
    text = (out / "staleness.html").read_text(encoding="utf-8")
    assert text.index('id="picture-map"') < text.index('id="picture-momentum"')
    ids = re.findall(r'id="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_every_picture_is_in_the_help() -> None:
    for name in [*pictures.PICTURES, "all"]:
        assert re.search(rf"^  {name} ", command.HELP, re.MULTILINE), name
    assert pictures.chosen([]) == pictures.chosen(["all"]) == list(pictures.PICTURES)


def arguments(**given: Any) -> argparse.Namespace:
    """As the parser would make them."""
    return argparse.Namespace(**{"pictures": ["boundary"], "max_tau": "3", "seeds": "1", "out": "unused"} | given)


@pytest.mark.parametrize("max_tau", ["-1", "2.5", "many", "", "129", -1])
def test_the_command_refuses_a_bad_max_tau(max_tau: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^max_tau={max_tau} must be a whole number from 0 to 128$"):
        command.run(arguments(max_tau=max_tau, out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_other_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^seeds=0 must be a whole number from 1 to 100$"):
        command.run(arguments(seeds="0"))
    with pytest.raises(ValueError, match=r"^picture='maps' must be one of map, boundary, .*, or all$"):
        command.run(arguments(pictures=["map", "maps"]))
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"must be a folder, it is a file$"):
        command.run(arguments(out=str(file)))
    with pytest.raises(OSError, match=r"must be a folder, it cannot be made"):
        command.run(arguments(out=str(file / "below")))
    assert file.read_text() == "mine"


# ---- networks


@pytest.mark.parametrize("name", list(network.MODELS))
def test_networks_obey_the_quadratic(name: str) -> None:
    calls: list[None] = []
    found = network.measure(name, [0, 2], [1], lambda: calls.append(None))
    assert len(calls) == 2
    assert found.real.shape == found.predicted.shape == (2, 1)
    assert found.predicted[:, 0] == pytest.approx(study.critical_step(np.array([0, 2])) / found.sharpness[0])
    assert found.real == pytest.approx(found.predicted, rel=TRIAL)


def test_the_network_picture_shows_its_numbers(tmp_path: Path) -> None:
    rng, tau = np.random.default_rng(0), np.array([0, 1, 4])
    result = []
    for name in network.MODELS:
        sharpness = rng.uniform(1, 3, 2)
        predicted = study.critical_step(tau)[:, None] / sharpness
        real = predicted * rng.uniform(0.9, 1.1, (3, 2))
        result.append(network.Measured(name, tau, sharpness, np.zeros(2), predicted, real))
    pictures.write("network", result, tmp_path)
    lines = (tmp_path / "staleness-network.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 3 * 3 * 2
    last = lines[-1].split(",")
    assert last[:3] == ["GPT", "4", "1"]
    assert float(last[-1]) == pytest.approx(result[-1].real[2, 1], rel=1e-9)
    figure = pictures.PICTURES["network"].load().draw(result)
    rings = figure.axes[0].containers[0].lines[0].get_ydata()
    assert rings == pytest.approx([math.sqrt(a * b) for a, b in result[0].real], rel=SAME_MATH)


def test_bad_arguments_of_the_network_study_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^name='CNN' must be one of logistic regression, MLP, GPT$"):
        network.measure("CNN", [1], [0])
    with pytest.raises(ValueError, match="must hold at least one number each"):
        network.measure("MLP", [1], [])
    with pytest.raises(ValueError, match=r"must be a whole number of at least 0$"):
        network.measure("MLP", [-1], [0])
