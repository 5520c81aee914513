"""`minigrad kernels` as a reader calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from minigrad.cli import main
from minigrad.commands.kernels import file_names
from minigrad.kernels import emulate, ladder
from minigrad.kernels.examples import EXAMPLES


def test_list_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}.cu" in printed for name in file_names())


@pytest.mark.parametrize("name", ["softmax", "softmax.cu", "softmax_backward_float64"])
def test_show_prints_the_file(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernels", "show", name]) == 0
    assert capsys.readouterr().out.startswith("// Softmax of every row")


def test_run_compares_and_looks_for_races(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        emulate.find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))
    assert main(["kernels", "run", "gelu", "--emulate"]) == 0
    printed = capsys.readouterr().out
    assert "largest difference from cpu.gelu_forward: " in printed
    assert "no race" in printed or "no search for races" in printed


def nothing(*_: object) -> None:
    """In the place of what this machine lacks."""
    raise RuntimeError("there is none; install it")


def test_without_a_gpu_run_says_how_to_do_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minigrad.kernels.launch_cuda.gpu_module", nothing)
    assert main(["kernels", "run", "gelu"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "minigrad kernels run gelu --emulate" in lines[0]
    assert "there is none; install it" in lines[0]


def test_without_a_compiler_run_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulate, "find_compiler", nothing)
    assert main(["kernels", "run", "gelu", "--emulate"]) == 2
    assert capsys.readouterr().err == "minigrad kernels: error: there is none; install it\n"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_right(name: str) -> None:
    try:
        emulate.find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))
    example = EXAMPLES[name]()
    module = emulate.EmulatedModule(emulate.CUDA_SOURCES / f"{name}.cu")
    module.launch(example.kernel, example.grid, example.block, example.args, example.shared_bytes)
    assert example.difference() < 1e-5


def test_bench_saves_table_and_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "LARGEST", dict.fromkeys(ladder.LADDER, 8))
    assert main(["kernels", "bench", "--size", "16", "--out", str(tmp_path / "new")]) == 0
    assert "OPENBLAS_CORETYPE" in capsys.readouterr().out
    rows = (tmp_path / "new" / "ladder.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == list(ladder.LADDER)
    assert (tmp_path / "new" / "ladder.png").stat().st_size > 5000
    assert (tmp_path / "new" / "ladder.svg").is_file()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["show"], "kernels show needs a name: one of attention, "),
        (["show", "gelo"], "name='gelo' is no CUDA file or kernel"),
        (["run", "dropout", "--emulate"], "has no example to run; these have: attention"),
        (["bench", "gelu"], "has no ladder to measure; use matmul"),
        (["bench", "--size", "1"], "--size 1 must be at least 2"),
        (["paint"], "invalid choice: 'paint'"),
    ],
)
def test_wrong_arguments(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["kernels", *argv])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    assert message in capsys.readouterr().err
