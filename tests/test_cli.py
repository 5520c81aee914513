"""The `minigrad` command: quick help, lazy commands, errors of one line with their exit status."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from minigrad import __version__, cli

ROOT = Path(__file__).parent.parent
LIMIT = 0.5  # seconds
Answer = Callable[[argparse.Namespace], int]


def command(answer: Answer) -> ModuleType:
    """A command whose run is `answer`."""
    module = ModuleType("minigrad.commands.fake")
    module.HELP = "What the fake command does."  # type: ignore[attr-defined]
    module.add_arguments = lambda parser: parser.add_argument("--steps", type=int, default=1)  # type: ignore[attr-defined]
    module.run = answer  # type: ignore[attr-defined]
    return module


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Makes `minigrad fake` run a function."""

    def put(answer: Answer) -> None:
        monkeypatch.setitem(sys.modules, "minigrad.commands.fake", command(answer))
        monkeypatch.setitem(cli.COMMANDS, "fake", ("minigrad.commands.fake", "a fake"))

    return put


def raiser(error: BaseException) -> Answer:
    """A command that raises."""

    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_answer_at_once_and_load_nothing_more(option: str) -> None:
    code = f"""
import sys, minigrad
before = set(sys.modules)
from minigrad.cli import main
try:
    main([{option!r}])
finally:
    print(*(set(sys.modules) - before), file=sys.stderr)
"""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
        times.append(time.perf_counter() - start)
        if min(times) < LIMIT:
            break
    assert min(times) < LIMIT
    assert answer.returncode == 0
    added = {module.split(".")[0] for module in answer.stderr.split()} - {"minigrad"}
    assert added <= sys.stdlib_module_names
    assert "minigrad.commands" not in answer.stderr


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text and summary in text for name, (_, summary) in cli.COMMANDS.items())
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"minigrad {__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_there_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = import_module(cli.COMMANDS[name][0])
    assert callable(module.run)
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    text = capsys.readouterr().out
    assert module.HELP.strip() in text
    assert f"usage: minigrad {name}" in text
    assert "\nexamples:\n" in text


def test_the_status_is_what_the_command_returns(install: Callable[[Answer], None]) -> None:
    install(lambda args: 40 + args.steps)
    assert cli.main(["fake", "--steps", "2"]) == 42
    assert cli.main(["fake"]) == 41


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("ranks=0 must be at least 1"), "ranks=0 must be at least 1"),
        (TypeError("data\n  is text"), "data is text"),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "a.txt: No such file or directory"),
        (PermissionError(13, "Permission denied", "b.txt"), "b.txt: Permission denied"),
        (OSError("no space"), "no space"),
        (ValueError(), "ValueError"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    error: Exception, sentence: str, install: Callable[[Answer], None], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("MINIGRAD_DEBUG", raising=False)
    install(raiser(error))
    assert cli.main(["fake"]) == 2
    assert capsys.readouterr() == ("", f"minigrad fake: error: {sentence}\n")


def test_debug_shows_where_an_error_came_from(
    install: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(raiser(ValueError("no")))
    for arguments in (["fake", "--debug"], ["--debug", "fake"]):
        with pytest.raises(ValueError, match="no"):
            cli.main(arguments)
    monkeypatch.setenv("MINIGRAD_DEBUG", "1")
    with pytest.raises(ValueError, match="no"):
        cli.main(["fake"])


def test_a_defect_of_ours_keeps_its_traceback(install: Callable[[Answer], None]) -> None:
    install(raiser(AssertionError("an invariant")))
    with pytest.raises(AssertionError, match="an invariant"):
        cli.main(["fake"])


def test_ctrl_c_is_status_130(install: Callable[[Answer], None], capsys: pytest.CaptureFixture[str]) -> None:
    install(raiser(KeyboardInterrupt()))
    assert cli.main(["fake"]) == 130
    assert capsys.readouterr().err == "minigrad fake: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], "'trian' is not a command: did you mean 'train'?"),
        (["docter"], "did you mean 'doctor'?"),
        (["xyzzy"], "the commands are demo, train"),
        (["--frob"], "unrecognized arguments: --frob"),
        (["launch"], "required: -n/--ranks"),
        (["launch", "-n", "two", "--", "x.py"], "invalid int value: 'two'"),
        (["course"], "the following arguments are required: ACTION (minigrad"),
        (["doctor", "--frob"], "unrecognized arguments: --frob"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    text = capsys.readouterr().err
    assert sentence in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-n", "0", "--", "x.py"], "ranks=0 must be at least 1"),
        (["-n", "2"], "nothing to run"),
        (["-n", "2", "--"], "nothing to run"),
        (["-n", "2", "--", "no-such-program.py"], "does not exist in"),
    ],
)
def test_launch_refuses_what_it_cannot_run(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["launch", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_launch_passes_a_programs_own_options_on(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    command = [sys.executable, "-m", "minigrad.cli", "launch", "-n", "1"]
    for separator in (["--"], []):
        answer = subprocess.run([*command, *separator, program, "-n", "3", "--debug", "--", "x"], capture_output=True,
                                text=True, timeout=60, cwd=ROOT)  # fmt: skip
        assert answer.stdout == "['-n', '3', '--debug', '--', 'x']\n"
        assert answer.returncode == 7


def test_a_job_out_of_time_is_status_124(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "minigrad.cli", "launch", "-n", "2", "--timeout", "1", "--", "sleep", "60"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert answer.returncode == 124
    assert answer.stderr.startswith("minigrad launch: the job was not done after 1 s and has been killed; ")
    assert answer.stderr.count("\n") == 1


def test_output_that_nobody_reads_is_no_error() -> None:
    program = f"{sys.executable} -m minigrad.cli doctor | head -1"
    answer = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert answer.stderr == ""


def test_the_package_is_the_command_too() -> None:
    answers = [
        subprocess.run([sys.executable, "-m", name, "--version"], capture_output=True, text=True, cwd=ROOT)
        for name in ("minigrad", "minigrad.cli")
    ]
    assert [answer.returncode for answer in answers] == [0, 0]
    assert answers[0].stdout == answers[1].stdout != ""
