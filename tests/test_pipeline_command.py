"""`minigrad pipeline`: what it prints and writes, and what it refuses in one sentence."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from minigrad.cli import main
from parallel.pipeline import SCHEDULES, one_f_one_b, parse


def pipeline(capsys: Any, *argv: str) -> tuple[int, str, str]:
    try:
        status = main(["pipeline", *argv])
    except SystemExit as stop:
        status = int(stop.code or 0)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_show_draws_and_tells(capsys: Any) -> None:
    status, out, err = pipeline(capsys, "show", "1f1b", "--stages", "4", "--micro-batches", "8")
    assert (status, err) == (0, "")
    assert "rank 3 | .  .  .  F0 BW0-- F1 BW1-- " in out
    assert "makespan  33 s\nbubble    27.3% of the total time, 37.5% of the ideal time\n" in out
    assert [row.split()[-1] for row in out.splitlines()[-4:]] == ["4", "3", "2", "1"]


ENDS = (".png", ".svg", ".gif", "-film.html", ".html", ".json", ".txt")


def test_show_writes_files_that_agree(capsys: Any, tmp_path: Path) -> None:
    assert pipeline(capsys, "show", "1f1b", "--stages", "2", "--micro-batches", "3", "--out", str(tmp_path))[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"1f1b{end}" for end in ENDS}
    assert parse((tmp_path / "1f1b.txt").read_text()) == one_f_one_b(2, 3)
    events = json.loads((tmp_path / "1f1b.json").read_text())["traceEvents"]
    assert sum(event.get("cat") == "compute" for event in events) == 2 * 3 * 2
    assert (tmp_path / "1f1b.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "1f1b.gif").read_bytes().startswith(b"GIF89a")


def makespan(capsys: Any, *argv: str) -> float:
    status, out, _ = pipeline(capsys, "show", *argv)
    assert status == 0
    match = re.search(r"makespan  ([\d.]+) (ms|s)", out)
    assert match is not None
    return float(match[1]) * (1e-3 if match[2] == "ms" else 1.0)


def test_costs_are_those_of_a_ranks_share(capsys: Any) -> None:
    assert makespan(capsys, "interleaved-1f1b", "--chunks", "2") == 28.5
    assert makespan(capsys, "gpipe", "--forward", "1,1,1,2") == 41
    assert makespan(capsys, "gpipe", "--slow", "3=0.5") > makespan(capsys, "gpipe") == 33
    rows = pipeline(capsys, "show", "gpipe", "--slow", "3=0.5")[1].splitlines()[-4:]
    assert [row.split()[1] for row in rows] == ["24", "24", "24", "48"]
    assert makespan(capsys, "1f1b", "--cluster", "10gbe", "--message-bytes", "1000000000") > 33
    free = makespan(capsys, "dualpipe", "--overlap-is-free")
    assert free < makespan(capsys, "dualpipe") == 26


def test_compare_lists_all_and_says_what_it_leaves_out(capsys: Any, tmp_path: Path) -> None:
    status, out, _ = pipeline(capsys, "compare", "--out", str(tmp_path))
    assert status == 0
    for name in SCHEDULES:
        assert f"\n{name:<17}" in out
    with open(tmp_path / "compare.csv", encoding="utf-8") as file:
        rows = {row["schedule"]: row for row in csv.DictReader(file)}
    assert rows["zb-h1"] == {
        "schedule": "zb-h1", "makespan": "27 s", "of total": "11.1%", "of ideal": "12.5%", "kept": "4", "versions": "1",
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"compare.csv", "compare.png", "compare.svg", "timelines.png"}
    out = pipeline(capsys, "compare", "--stages", "3", "--micro-batches", "4")[1]
    assert "left out: dualpipe, stages=3 must be" in out


def test_check_is_right_or_marks_the_fault(capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("rank 0 stage 0: F0 F1 BW0 BW1\nrank 1 stage 1: F0 BW0 F1 BW1\n", encoding="utf-8")
    status, out, _ = pipeline(capsys, "check", str(file))
    assert status == 0
    assert out.startswith("right: 2 stages on 2 ranks, 2 micro-batches\nrank 0 |  F0 ")
    assert out.endswith("in flight at most, by rank: 2, 1\n")
    status, out, _ = pipeline(capsys, "check", str(file), "--blocking")
    assert status == 1
    assert out.startswith("wrong: deadlock with blocking sends")
    assert pipeline(capsys, "check", str(file), "--most-in-flight", "1")[0] == 1
    file.write_text("rank 0 stage 0: F0 F1 BW0\n", encoding="utf-8")
    status, out, _ = pipeline(capsys, "check", str(file))
    assert status == 1
    assert "[BW1?]" in out


@pytest.mark.parametrize("name", ["empty.txt", "empty.csv"])
def test_a_file_without_a_schedule(capsys: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n", encoding="utf-8")
    status, out, err = pipeline(capsys, "check", str(tmp_path / name))
    assert (status, out) == (2, "")
    assert re.search(rf"{name}: text has no (rank|actions), must have", err)


def test_check_reads_pytorchs_csv(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("0F0,0B0\n", encoding="utf-8")
    assert pipeline(capsys, "check", str(tmp_path / "mine.csv"))[0] == 0


def test_search_finds_what_fits(capsys: Any) -> None:
    argv = ["search", "--cluster", "dgx-v100x1", "--ranks", "2", "--model", "gpt2", "--batch", "4", "--best", "2"]
    status, out, _ = pipeline(capsys, *argv, "--memory", "4")
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == 4
    for line in lines[2:]:
        assert float(line.split(" GB")[0].split()[-1]) <= 4
    status, _, err = pipeline(capsys, *argv, "--memory", "0.5")
    assert status == 2
    assert re.fullmatch(r"minigrad pipeline: error: memory=5e\+08 bytes must be at least .*\n", err)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "name what to do: show, compare, check, search"),
        (["draw"], "draw"),
        (["show", "zigzag"], "name='zigzag' must be one of naive, gpipe"),
        (["show", "1f1b", "--stages", "0"], "stages=0 must be at least 1"),
        (["show", "1f1b", "--chunks", "2"], "chunks=2 must be None for 1f1b"),
        (["show", "interleaved-1f1b", "--micro-batches", "6"], "micro_batches=6"),
        (["show", "1f1b", "--stages", "1000", "--micro-batches", "1000"], "must multiply to at most"),
        (["show", "1f1b", "--forward", "1,2"], "--forward 1,2 must be seconds of at least 0, one for all or one for"),
        (["show", "1f1b", "--backward-weight", "fast"], "--backward-weight fast must be seconds"),
        (["show", "1f1b", "--slow", "9=2"], "--slow '9=2' must be a rank from 0 to 3 and its speed"),
        (["show", "1f1b", "--slow", "1=0"], "speeds[1]=0.0 must be a finite number above 0"),
        (["show", "1f1b", "--cluster", "dgx-v99"], "dgx-v100"),
        (["show", "1f1b", "--real", "0"], "--real 0.0 must be above 0"),
        (["show", "1f1b", "--real", "--cluster", "10gbe"], "--real runs on this machine, whose links are not those of"),
        (["show", "1f1b", "--real", "--message-bytes", "8"], "leave out --message-bytes"),
        (["show", "1f1b", "--real", "--stages", "64"], "--real starts a process for each of 64 ranks, must be"),
        (["show", "1f1b", "--real", "60"], "--real 60 would take 1980 s, must be at most 120 s"),
        (["check", "nowhere.txt"], "nowhere.txt: No such file"),
        (["check", __file__], "must look like 'rank 0 stage 0"),
        (["search", "--model", "gpt5"], "--model 'gpt5' must be one of gpt2, gpt2-medium"),
        (["search", "--ranks", "0"], "--ranks 0 must be from 1 to 64"),
        (["search", "--memory", "-1"], "--memory -1.0 must be above 0 GB"),
    ],
)
def test_bad_input_is_one_sentence(capsys: Any, argv: list[str], sentence: str) -> None:
    status, out, err = pipeline(capsys, *argv)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("part", ["show", "compare", "check", "search"])
def test_help_has_examples(capsys: Any, part: str) -> None:
    status, out, _ = pipeline(capsys, part, "--help")
    assert status == 0
    assert f"examples:\n  minigrad pipeline {part}" in out


def test_show_runs_on_real_processes_beside_the_price(capsys: Any, tmp_path: Path) -> None:
    """Two processes whose stages sleep: both in one picture, and each with a page and a trace of its own."""
    argv = ["show", "1f1b", "--stages", "2", "--micro-batches", "3", "--real", "0.02", "--out", str(tmp_path)]
    status, out, err = pipeline(capsys, *argv)
    assert (status, err) == (0, "")
    match = re.search(r"\nreal      ([\d.]+) s on 2 processes with 0.02 s for a second of the price: (\S+)%", out)
    assert match is not None
    assert float(match[1]) >= 0.02 * 12 * 0.99
    assert "the same order of actions" in out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"1f1b{end}" for end in ENDS} | {"1f1b-real.html", "1f1b-real.json"}
    drawn = json.loads((tmp_path / "1f1b-real.json").read_text())["traceEvents"]
    assert sum(event.get("cat") == "compute" for event in drawn) == 2 * 3 * 2
    runs = json.loads(re.search(r"const DATA = (.*);", (tmp_path / "1f1b-film.html").read_text())[1])["runs"]  # type: ignore[index]
    assert [run["name"] for run in runs] == ["priced", "real"]
    assert all(len(run["actions"]) == 2 * 3 * 2 for run in runs)


def test_a_schedule_too_long_for_a_film_has_a_picture(capsys: Any, tmp_path: Path) -> None:
    argv = ["show", "gpipe", "--stages", "21", "--micro-batches", "96", "--out", str(tmp_path)]
    status, out, _ = pipeline(capsys, *argv)
    assert status == 0
    assert "no film: with more than 4000 actions" in out
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".html", ".json", ".txt"}
