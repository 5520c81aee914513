"""`minigrad generate` on a run that `minigrad train` left behind."""

import pytest

from minigrad.cli import main

TINY = ["--steps=2", "--batch-size=4", "--block-size=16", "--layers=1", "--heads=2", "--width=16"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    assert main(["train", "--text", str(folder / "text.txt"), "--out", str(folder / "run"), *TINY]) == 0
    return folder / "run"


def generated(run_folder, capsys, *arguments):
    status = main(["generate", "--run", str(run_folder), "--prompt", "the ", "--tokens", "40", *arguments])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return printed.out


def test_the_text_begins_with_the_prompt_and_can_be_repeated(run_folder, capsys):
    first, second = generated(run_folder, capsys), generated(run_folder, capsys)
    assert first == second
    assert first.startswith("the ")
    assert len(first.rstrip("\n")) >= 4
    assert generated(run_folder, capsys, "--seed", "1") != first


def test_the_cache_changes_no_character(run_folder, capsys):
    assert generated(run_folder, capsys, "--no-cache") == generated(run_folder, capsys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--run", "/no/such/run"], "/no/such/run has no settings.json; train a GPT there first"),
        (["--prompt", "%"], "character '%' does not occur"),
        (["--prompt", ""], "--prompt is empty"),
        (["--tokens", "0"], "--tokens 0 must be at least 1"),
        (["--temperature", "-1"], "temperature=-1.0 must not be negative"),
        (["--top-k", "0"], "top_k=0 must be at least 1"),
    ],
)
def test_bad_input(run_folder, capsys, arguments, sentence):
    words = ["generate", "--run", str(run_folder), *arguments]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1


def test_a_run_whose_files_do_not_belong_together(run_folder, tmp_path, capsys):
    for name in ("settings.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((run_folder / name).read_bytes())
    (tmp_path / "tokenizer.json").write_text('{"alphabet": "abc"}')
    assert main(["generate", "--run", str(tmp_path)]) == 2
    assert "has shape" in capsys.readouterr().err
    (tmp_path / "settings.json").write_text("{}")
    assert main(["generate", "--run", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
