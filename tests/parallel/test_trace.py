"""Spans, their pairing into messages, the Chrome trace, and the picture."""

import json
from itertools import pairwise

import numpy as np
import pytest

from minigrad.trace import Span, chrome_trace, memory_levels, messages, save_chrome_trace
from parallel import Cluster, elapse, message_timeline, ring_all_reduce, simulate, spawn


def program(comm):
    elapse(comm, 1e-6, "F0")
    ring_all_reduce(comm, np.ones(40))
    beside = spawn(comm, lambda duplicate: ring_all_reduce(duplicate, np.ones(8)))
    elapse(comm, 2e-6, "B0")
    beside.join()
    comm.Barrier()


@pytest.fixture(scope="module")
def spans():
    return simulate(program, 4).spans


def test_a_span_is_a_tuple_that_cannot_be_changed():
    span = Span(1, 0, "F3", 2.0, 5.0, "compute")
    assert span.duration == 3.0
    assert tuple(span) == (1, 0, "F3", 2.0, 5.0, "compute", 0, -1, -1, "")
    with pytest.raises(AttributeError):
        span.end = 6.0


def test_every_message_is_paired_with_its_own_receive(spans):
    pairs = messages(spans)
    assert len(pairs) == 2 * 4 * 2 * 3
    for send, receive in pairs:
        assert (send.kind, receive.kind) == ("send", "recv")
        assert (send.peer, receive.peer) == (receive.rank, send.rank)
        assert (send.start, send.end, send.bytes, send.tag) == (receive.start, receive.end, receive.bytes, receive.tag)
        assert send.stream == receive.stream
        assert send.context == receive.context


def test_messages_of_one_pair_are_matched_in_order_and_by_tag_and_context():
    def send(start, tag=0, context="a"):
        return Span(0, 0, "Send", start, start + 1, "send", 8, 1, tag, context)

    def receive(start, tag=0, context="a"):
        return Span(1, 0, "Recv", start, start + 1, "recv", 8, 0, tag, context)

    spans = [send(0.0), send(1.0), send(2.0, 7), send(3.0, 0, "b")]
    spans += [receive(4.0, 7), receive(5.0), receive(6.0, 0, "b"), receive(7.0), receive(8.0)]
    found = [(s.start, r.start) for s, r in messages(spans)]
    assert found == [(2.0, 4.0), (0.0, 5.0), (3.0, 6.0), (1.0, 7.0)]


def test_chrome_trace_has_durations_names_and_arrows(spans, tmp_path):
    path = tmp_path / "trace.json"
    save_chrome_trace(spans, path)
    events = json.loads(path.read_text())["traceEvents"]
    assert events == chrome_trace(spans)["traceEvents"]
    by_phase = {phase: [e for e in events if e["ph"] == phase] for phase in "MXsf"}
    assert len(by_phase["X"]) == len(spans)
    assert {e["args"]["name"] for e in by_phase["M"]} >= {f"rank {rank}" for rank in range(4)}
    assert {e["args"]["name"] for e in by_phase["M"]} >= {"stream 0 compute", "stream 1 send"}
    forward = next(e for e in by_phase["X"] if e["name"] == "F0")
    assert (forward["ts"], forward["dur"], forward["pid"]) == (0.0, 1.0, 0)
    assert len(by_phase["s"]) == len(by_phase["f"]) == len(messages(spans))
    for begin, end in zip(by_phase["s"], by_phase["f"], strict=True):
        assert begin["id"] == end["id"]
        assert begin["ts"] < end["ts"]
        assert (begin["pid"] + 1) % 4 == end["pid"]


def test_memory_spans_become_counters_and_no_boxes():
    spans = [
        Span(0, 0, "F0", 0.0, 3e-6, "compute"),
        Span(0, 0, "weights", 0.0, 3e-6, "memory", 8),
        Span(0, 0, "grads", 1e-6, 2e-6, "memory", 4),
        Span(0, 0, "grads", 1e-6, 3e-6, "memory", 2),
        Span(1, 0, "Send", 0.0, 1e-6, "send", 80, 0, 0),
        Span(1, 0, "Isend", 0.0, 2e-6, "send", 20, 0, 0),
    ]
    events = chrome_trace(spans)["traceEvents"]
    counters = [(e["pid"], e["name"], e["ts"], *e["args"].values()) for e in events if e["ph"] == "C"]
    assert counters == [
        (0, "memory (bytes): grads", 1.0, 6),
        (0, "memory (bytes): grads", 2.0, 2),
        (0, "memory (bytes): grads", 3.0, 0),
        (0, "memory (bytes): weights", 0.0, 8),
        (0, "memory (bytes): weights", 3.0, 0),
        (1, "sending (bytes)", 0.0, 100),
        (1, "sending (bytes)", 1.0, 20),
        (1, "sending (bytes)", 2.0, 0),
    ]
    assert [e["name"] for e in events if e["ph"] == "X"] == ["F0", "Send", "Isend"]
    assert memory_levels(spans) == {0: [(0.0, 8), (1e-6, 14), (2e-6, 10), (3e-6, 0)]}


def test_nothing_overlaps_on_a_track_of_a_simulated_run(spans):
    tracks = {}
    for event in chrome_trace(spans)["traceEvents"]:
        if event["ph"] == "X":
            tracks.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
    for intervals in tracks.values():
        intervals.sort()
        for (_, end), (start, _) in pairwise(intervals):
            assert end <= start + 1e-9


def test_the_timeline_has_a_lane_a_rank_and_an_arrow_a_message(spans, tmp_path):
    path = tmp_path / "timeline.png"
    figure = message_timeline(spans, path, title="ring")
    assert path.read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert [label for label in labels if label.startswith("rank")] == [f"rank {rank}" for rank in range(4)]
    assert len(labels) == 4 * 4  # main line, stream 1, send, receive
    boxes = [artist for artist in axes.collections if type(artist).__name__ == "PolyCollection"]
    assert sum(len(artist.get_paths()) for artist in boxes) == len(spans)
    assert sorted(artist.get_label() for artist in boxes) == ["B", "F", "collective", "recv", "send", "wait"]
    (arrows,) = [artist for artist in axes.collections if type(artist).__name__ == "Quiver"]
    assert len(messages(spans)) == arrows.N
    assert len(axes.texts) == sum(span.kind in ("compute", "collective") for span in spans)
    assert axes.get_xlabel() == "time (µs)"
    assert axes.get_title() == "ring"


def test_computations_bear_their_names_and_one_colour_a_kind_of_work():
    def work(comm):
        for name in ("F0", "F1", "BW0"):
            elapse(comm, 1.0, name)

    (axes,) = message_timeline(simulate(work, 2).spans).figure.axes
    assert sorted(text.get_text() for text in axes.texts) == ["BW0", "BW0", "F0", "F0", "F1", "F1"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["F", "BW"]
    assert axes.get_xlabel() == "time (s)"


def test_collectives_bear_their_names():
    (axes,) = message_timeline(simulate(lambda comm: comm.Barrier(), 2).spans).figure.axes
    assert [text.get_text() for text in axes.texts if text.get_text() == "Barrier"] == ["Barrier"] * 2


def test_a_timeline_of_some_ranks_has_only_those(spans):
    (axes,) = message_timeline(spans, ranks=(1, 2)).figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert [name for name in names if name.startswith("rank")] == ["rank 1", "rank 2"]
    (arrows,) = [artist for artist in axes.collections if type(artist).__name__ == "Quiver"]
    assert arrows.N == 2 * 2 * 3  # from 1 to 2 only


def test_an_empty_timeline_is_refused():
    with pytest.raises(ValueError, match="spans is empty"):
        message_timeline([])


def test_transfer_time():
    # tolerance row: virtual-time
    assert Cluster(alpha=2.0, beta=0.5).transfer_time(0, 1, 10) == pytest.approx(7.0, rel=1e-12)
