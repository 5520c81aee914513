"""The film of a pipeline: the picture's own boxes, of which only the past can be seen."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigrad.trace import Span
from parallel.pipeline import gpipe, one_f_one_b, price
from parallel.plots import pipeline_animation

YELLOW = (0xF3, 0xE2, 0x7D)  # BW
BLUE = (0x8E, 0xC9, 0xEF)  # F


def pixels(frame: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(frame - colour).sum(axis=2) < 30).sum())


def test_the_gif_fills_from_left_to_right(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    pipeline_animation({"GPipe": price(gpipe(2, 3)).spans}, path)
    with Image.open(path) as film:
        count = film.n_frames
        frames = []
        for number in sorted({*range(0, count, 3), count - 1}):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB"), int))
        assert film.info["duration"] > 1000  # the end stays for a while
    assert count > 60
    blue, yellow = ([pixels(frame, colour) for frame in frames] for colour in (BLUE, YELLOW))
    legend = yellow[0]
    assert blue == sorted(blue)
    assert yellow == sorted(yellow)
    third = frames[len(frames) // 3 - 1]  # 12 s in all: before the fourth is over nearly all F have run, and no BW
    assert pixels(third, BLUE) > 0.75 * blue[-1]
    assert pixels(third, YELLOW) <= 1.02 * legend < 0.1 * yellow[-1]


def test_the_page_has_the_picture_and_its_actions(tmp_path: Path) -> None:
    path = tmp_path / "film.html"
    pipeline_animation({"a": price(gpipe(2, 3)).spans, "b": price(one_f_one_b(2, 3)).spans}, path, "</script><b>")
    text = path.read_text(encoding="utf-8")
    assert text.count("</script>") == 1
    data = json.loads(re.search(r"const DATA = (.*);", text)[1])  # type: ignore[index]
    assert data["title"] == "</script><b>"
    assert len(data["panels"]) == 4
    assert all(0 < left < right < 1 and 0 < top < bottom < 1 for left, top, right, bottom in data["panels"])
    assert [len(run["actions"]) for run in data["runs"]] == [12, 12]
    assert data["end"] == 12
    assert data["runs"][0]["actions"][0] == [0, "F", "F0", 0.0, 1.0]
    assert text.count("<svg") == 1


def test_films_of_nothing_and_of_too_much(tmp_path: Path) -> None:
    spans = price(gpipe(2, 3)).spans
    with pytest.raises(ValueError, match=r"must end in \.gif or \.html"):
        pipeline_animation({"a": spans}, tmp_path / "film.mp4")
    with pytest.raises(ValueError, match="runs is empty"):
        pipeline_animation({}, tmp_path / "film.gif")
    many = [Span(0, 0, f"F{i}", i, i + 1, "compute") for i in range(4001)]
    with pytest.raises(ValueError, match="runs has 4001 actions, a film must have at most 4000"):
        pipeline_animation({"a": many}, tmp_path / "film.gif")
    assert not list(tmp_path.iterdir())
