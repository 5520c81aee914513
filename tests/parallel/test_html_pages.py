"""The pages, used in a browser as a reader uses them: wheel, drag, keys, pointer, search, filter, buttons.

A script is put at the end of a copy of the page; it acts, and writes what it sees into the page, which headless
Chromium prints. Where Chromium is missing, these tests are skipped; the data in the pages are tested without it.
"""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from minigrad.trace import Span
from parallel import Cluster, elapse, ring_all_reduce, simulate, spawn
from parallel.pipeline import gpipe, price
from parallel.plots import html_timeline, message_animation, pipeline_animation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (pages are not tried out)")

ENDING = """<script>
const seen = {};
window.addEventListener("error", event => { seen.error = event.message; });
try { (() => { %s })(); } catch (error) { seen.error = String(error); }
const report = document.createElement("pre");
report.id = "report"; report.textContent = JSON.stringify(seen); document.body.append(report);
</script></body>"""


def act(page, script, tmp_path):
    """What `script` has put into `seen` when it has run in the page."""
    copy = tmp_path / "acted.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", ENDING % script), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,700",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", copy.as_uri(),
    ]  # fmt: skip
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    seen = json.loads(html.unescape(re.search(r'<pre id="report">(.*?)</pre>', printed).group(1)))
    assert "error" not in seen, seen["error"]
    return seen


def program(comm):
    elapse(comm, 2e-6, "forward")
    beside = spawn(comm, lambda duplicate: ring_all_reduce(duplicate, np.ones(80)))
    elapse(comm, 4e-6, "backward")
    beside.join()


@pytest.fixture(scope="module")
def spans():
    return simulate(program, 4, Cluster(alpha=5e-7, beta=5e-10)).spans


def data_of(path):
    return json.loads(re.search(r"const DATA = (.*);", path.read_text(encoding="utf-8")).group(1))


def test_the_page_holds_every_span_with_its_partner_and_no_network(spans, tmp_path):
    path = tmp_path / "timeline.html"
    memory = [Span(0, 0, "weights", 0.0, 4e-6, "memory", 640)]
    assert html_timeline([*spans, *memory], path, "<b>four</b>") == 0
    data = data_of(path)
    assert data["title"] == "<b>four</b>"
    assert len(data["start"]) == len(spans)
    assert sum(partner >= 0 for partner in data["partner"]) == 2 * 24
    for here, there in enumerate(data["partner"]):
        if there >= 0:
            assert data["partner"][there] == here
            assert data["rows"][data["row"][there]][0] == data["peer"][here]
    assert data["memory"] == {"0": [[0.0, 4e-6], [640, 0]]}
    assert data["row"] == sorted(data["row"])
    assert "http" not in path.read_text(encoding="utf-8")


def test_a_name_cannot_end_the_script(tmp_path):
    path = tmp_path / "timeline.html"
    html_timeline([Span(0, 0, "</script>", 0.0, 1.0, "compute")], path)
    assert path.read_text(encoding="utf-8").count("</script>") == 1
    assert data_of(path)["names"] == ["</script>"]


def test_of_too_many_spans_the_longest_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("parallel.plots.timeline_page.MOST", 3)
    spans = [Span(0, 0, f"F{n}", float(n), n + 0.1 * n, "compute") for n in range(1, 6)]
    assert html_timeline(spans, tmp_path / "timeline.html") == 2
    data = data_of(tmp_path / "timeline.html")
    assert data["leftOut"] == 2
    assert data["names"] == ["F3", "F4", "F5"]
    with pytest.raises(ValueError, match="spans is empty"):
        html_timeline([], tmp_path / "timeline.html")


@needs_chromium
def test_the_timeline_zooms_pans_shows_finds_and_filters(spans, tmp_path):
    path = tmp_path / "timeline.html"
    html_timeline(spans, path, "four ranks")
    script = """
      const wheel = (x, y, more) => canvas.dispatchEvent(new WheelEvent("wheel",
        {clientX: x + box.left, clientY: y + box.top, cancelable: true, ...more}));
      const point = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind,
        {clientX: x + box.left, clientY: y + box.top, pointerId: 1}));
      const type = (id, words) => { const field = document.getElementById(id);
        field.value = words; field.dispatchEvent(new Event("input")); };
      const box = canvas.getBoundingClientRect();
      seen.title = document.title;
      draw(); seen.drawn = drawn; seen.arrows = arrows; seen.lanes = lanes.length;
      const middle = Math.round(toX(3e-6)), before = toTime(middle), span = view.to - view.from;
      wheel(middle, 100, {deltaY: -300});
      seen.zoomed = (view.to - view.from) / span; seen.stayed = Math.abs(toTime(middle) - before) < 1e-12;
      point("pointerdown", 600, 100); point("pointermove", 500, 100);
      const from = view.from; point("pointermove", 400, 100); seen.panned = view.from > from;
      point("pointerup", 400, 100);
      document.dispatchEvent(new KeyboardEvent("keydown", {key: "0"}));
      seen.fitted = Math.abs(view.to - view.from - longest * 1.01) < 1e-12;
      for (let n = 0; n < 200; n++) wheel(300, 100, {deltaY: -1000});
      seen.narrowest = (view.to - view.from) / longest;
      for (let n = 0; n < 200; n++) wheel(300, 100, {deltaY: 1000});
      seen.widest = (view.to - view.from) / longest;
      fit(); point("pointermove", toX(4e-6), toY(lanes[0]) + 8);
      seen.tip = tip.innerText; seen.shown = tip.style.display;
      const lane = lanes.find(lane => DATA.rows[lane.row][1] === 1);
      point("pointermove", toX(2.1e-6), toY(lane) + 4); seen.message = tip.innerText;
      type("find", "backw"); seen.found = document.getElementById("found").textContent;
      document.getElementById("find").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}));
      seen.next = [view.from < 2e-6, view.to > 6e-6, kept === matches[0]];
      type("find", ""); fit();
      type("ranks", "1-2"); seen.filtered = [...new Set(lanes.map(lane => lane.rank))]; draw(); seen.fewer = arrows;
      type("ranks", "1-x"); seen.wrong = document.getElementById("ranks").classList.contains("wrong");
      seen.kept = lanes.length;
      type("ranks", "");
      const button = [...document.querySelectorAll(".kind")].find(button => button.textContent === "send");
      button.click(); draw(); seen.hidden = drawn; seen.pressed = button.getAttribute("aria-pressed");
    """
    seen = act(path, script, tmp_path)
    sends = sum(span.kind == "send" for span in spans)
    assert seen["title"] == "four ranks"
    assert seen["drawn"] == len(spans)
    assert seen["arrows"] == sends
    assert seen["lanes"] == 4 * 4
    assert seen["zoomed"] == pytest.approx(np.exp(-0.66), rel=1e-6)
    assert seen["stayed"]
    assert seen["panned"]
    assert seen["fitted"]
    assert seen["narrowest"] == pytest.approx(1e-9, rel=0.1)
    assert seen["widest"] == pytest.approx(1.02)
    assert seen["shown"] == "block"
    assert seen["tip"].splitlines() == ["backward", "rank 0 · backward", "2 µs + 4 µs"]
    assert re.search(r"rank 0 · send\n.*\n160 B, .* MB/s\nto rank 1, tag \d+\non world/spawn0", seen["message"])
    assert seen["found"] == "4 found, 16 µs"
    assert seen["next"] == [True, True, True]
    assert seen["filtered"] == [1, 2]
    assert seen["fewer"] == sends // 4  # from 1 to 2
    assert seen["wrong"]
    assert seen["kept"] == 8
    assert seen["hidden"] == len(spans) - sends
    assert seen["pressed"] == "false"


@needs_chromium
def test_tens_of_thousands_of_spans_are_drawn_quickly(tmp_path):
    """A frame in the middle of a zoom, the worst of all depths; generous, since the machine may be busy."""
    path = tmp_path / "timeline.html"
    spans = simulate(lambda comm: ring_all_reduce(comm, np.ones(6400)), 64).spans
    assert len(spans) > 24_000
    html_timeline(spans, path)
    script = """
      let worst = 0;
      for (let n = 0; n < 30; n++) {
        const begun = performance.now(); draw(); worst = Math.max(worst, performance.now() - begun);
        zoom(0.8, 600);
      }
      seen.worst = worst; seen.spans = count; fit();
    """
    seen = act(path, script, tmp_path)
    assert seen["spans"] == len(spans)
    assert seen["worst"] < 500  # ms


@needs_chromium
def test_a_long_span_is_seen_and_found_behind_the_short_ones_it_encloses(tmp_path):
    """As a profiler's layers enclose their operations: it begins far to the left of what is shown."""
    path = tmp_path / "nested.html"
    short = [Span(0, 0, "operation", n * 1e-3, n * 1e-3 + 1e-4, "compute") for n in range(1, 999)]
    html_timeline([Span(0, 0, "layer", 0.0, 1.0, "compute"), *short], path)
    script = """
      show(0.50005, 0.50006); draw(); seen.both = drawn;
      show(0.50050, 0.50060); draw(); seen.alone = drawn;
      hover(600, toY(lanes[0]) + 8); seen.name = tip.innerText.split("\\n")[0];
      show(0.5, 0.5002); draw(); hover(toX(0.50005), toY(lanes[0]) + 8); seen.inner = tip.innerText.split("\\n")[0];
    """
    assert act(path, script, tmp_path) == {"both": 2, "alone": 1, "name": "layer", "inner": "operation"}


@needs_chromium
def test_the_film_steps_plays_and_ends(tmp_path):
    path = tmp_path / "ring.html"
    message_animation(simulate(lambda comm: ring_all_reduce(comm, np.ones(12)), 3).spans, path, "ring")
    script = """
      const state = () => document.getElementById("state").textContent;
      const press = id => document.getElementById(id).click();
      seen.begin = state(); seen.flying = picture.querySelectorAll("rect").length;
      press("on"); seen.one = state(); press("on"); press("back"); seen.same = state() === seen.one;
      slider.value = 2.5; slider.dispatchEvent(new Event("input")); seen.half = state();
      for (let n = 0; n < 9; n++) press("on");
      seen.end = state(); seen.none = picture.querySelectorAll("rect").length;
      press("play"); seen.playing = document.getElementById("play").textContent; seen.again = step;
    """
    seen = act(path, script, tmp_path)
    assert seen["begin"] == "step 0 of 4 · t = 0 s · 0 of 12 messages"
    assert seen["flying"] == 3
    assert seen["one"].endswith("3 of 12 messages")
    assert seen["same"]
    assert seen["half"].startswith("step 2 of 4")
    assert seen["end"].endswith("12 of 12 messages")
    assert seen["none"] == 0
    assert seen["playing"] == "pause"
    assert seen["again"] == 0


@needs_chromium
def test_the_film_of_a_pipeline_hides_the_future_and_says_who_does_what(tmp_path):
    path = tmp_path / "film.html"
    pipeline_animation({"gpipe": price(gpipe(2, 2)).spans}, path, "two ranks")
    script = """
      const does = row => row.innerText.split(/\\s+/).slice(2).join(" ");
      const table = () => [...document.querySelectorAll("#now tr")].map(does);
      const covered = () => veils.map(({veil, left, right}) => Number(veil.getAttribute("width")) / (right - left));
      const state = () => [document.getElementById("state").textContent, ...table()];
      seen.title = document.title; seen.start = state(); seen.all = covered();
      document.getElementById("on").click(); seen.one = state();
      document.getElementById("on").click(); seen.two = state();
      document.getElementById("back").click(); seen.back = state();
      slider.value = 3.5; slider.dispatchEvent(new Event("input")); seen.slid = state();
      document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"})); seen.key = state()[0];
      show(4.5); seen.half = covered();
      for (let n = 0; n < 30; n++) document.getElementById("on").click();
      seen.end = state(); seen.none = covered();
    """
    seen = act(path, script, tmp_path)
    assert seen["title"] == "two ranks"
    assert seen["start"] == ["t = 0 s of 9 s", "F0 1", "idle 0"]
    assert seen["one"] == ["t = 1 s of 9 s", "F1 2", "F0 1"]
    assert seen["two"] == ["t = 2 s of 9 s", "idle 2", "F1 2"]
    assert seen["back"] == seen["one"]
    assert seen["slid"] == ["t = 3.5 s of 9 s", "idle 2", "BW0 2"]
    assert seen["key"] == "t = 5 s of 9 s"
    assert seen["end"] == ["t = 9 s of 9 s", "idle 0", "idle 0"]
    assert seen["all"] == [1, 1]
    assert seen["half"] == pytest.approx([0.5, 0.5])
    assert seen["none"] == [0, 0]
