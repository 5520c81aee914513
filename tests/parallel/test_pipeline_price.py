"""The price of a schedule agrees with arithmetic, and the search with a search that leaves nothing out."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.nn.gpt import GPT2
from minigrad.trace import Span, memory_levels
from parallel.cluster import Cluster, load_cluster
from parallel.pipeline import (
    SCHEDULES,
    SYNCHRONOUS,
    LayerCosts,
    check,
    fits,
    gpt_layers,
    make_schedule,
    one_f_one_b,
    peak_bytes,
    peak_in_flight,
    pipedream,
    price,
    search,
    stages_of,
    times,
)
from parallel.plots import pipeline_bars, pipeline_timeline
from parallel.plots.look import ACTION_COLOURS, category_colours

VIRTUAL_TIME = 1e-12  # row `virtual-time` of docs/conventions.md


@pytest.mark.parametrize("name", SCHEDULES)
@settings(max_examples=6, deadline=None)
@given(data=st.data(), stages=st.integers(1, 5), micro_batches=st.integers(1, 8), free=st.booleans())
def test_price_is_arithmetic_where_messages_are_free(
    name: str, data: Any, stages: int, micro_batches: int, free: bool
) -> None:
    """Whole seconds, another for each stage, so all is exact: time, idle, peaks, and overlap where it is free."""
    if not fits(name, stages, micro_batches):
        stages, micro_batches = (2, 4) if name.startswith("dualpipe") else (stages, 2 * stages)
    schedule = make_schedule(name, stages, micro_batches)
    each = st.lists(st.integers(0, 4), min_size=schedule.stages, max_size=schedule.stages)
    f, b, w, kept = (data.draw(each) for _ in range(4))
    priced = price(schedule, f, b, w, activation_bytes=kept, weight_bytes=kept, overlap_is_free=free)
    when = times(schedule, f, b, w, overlap_is_free=free)
    assert priced.makespan == when.makespan
    work = [
        sum(when.end[cell] - when.start[cell] for cell in when.start if cell.rank == rank)
        for rank in range(schedule.ranks)
    ]
    assert list(priced.busy) == work
    assert list(priced.idle) == [when.makespan - seconds for seconds in work]
    if sum(work):
        assert priced.bubble_of_ideal == pytest.approx(schedule.ranks * when.makespan / sum(work) - 1, abs=VIRTUAL_TIME)
        assert priced.bubble_of_total == pytest.approx(1 - sum(work) / schedule.ranks / when.makespan, abs=VIRTUAL_TIME)
    if min([*f, *b, *w]) > 0:  # nothing begins and ends in the same moment
        assert priced.peak_in_flight == peak_in_flight(schedule)
    if min([*f, *b, *w]) > 0 and not free:
        assert max(priced.peak_memory) == max(peak_bytes(schedule, kept, kept)) or name.startswith("dualpipe")


def test_memory_over_time_with_versions_and_as_spans() -> None:
    priced = price(one_f_one_b(2, 2), activation_bytes=10, weight_bytes=100)
    #  rank 0 | F0 F1 .  BW0-- .  BW1--, rank 1 | .  F0 BW0-- F1 BW1--
    assert priced.memory[0] == ([(0, 110), (1, 120), (6, 110), (9, 100)])
    assert priced.in_flight[1] == [(0, 0), (1, 1), (7, 0)]
    assert memory_levels(priced.spans)[0] == [(0, 110), (1, 120), (6, 110), (9, 0)]
    assert price(pipedream(3, 6), weight_bytes=100).peak_memory == (300, 200, 100)


def test_latency_bandwidth_and_a_slow_rank() -> None:
    """One micro-batch down and up three stages passes four links; a rank of half speed takes twice as long."""
    links = Cluster(alpha=0.5, beta=0.25)
    assert price(one_f_one_b(3, 1), message_bytes=6, cluster=links).makespan == 3 * 3 + 4 * (0.5 + 6 * 0.25)
    slow = Cluster(alpha=0.0, beta=0.0, speeds=(1.0, 0.5, 1.0))
    priced = price(one_f_one_b(3, 5), cluster=slow)
    assert priced.busy == (15, 30, 15)
    assert priced.makespan == times(one_f_one_b(3, 5), [1, 2, 1], [1, 2, 1], [1, 2, 1]).makespan


def test_messages_are_ghosts() -> None:
    """A terabyte of messages fits into any memory."""
    assert price(one_f_one_b(2, 8), message_bytes=2**37, cluster=Cluster(alpha=0, beta=2.0**-37)).makespan > 27


@pytest.mark.parametrize(
    ("costs", "sentence"),
    [
        ({"forward": [1.0]}, "forward has 1 costs, must have one for each of the 2 stages"),
        ({"backward_input": -1.0}, "backward_input=-1.0 must be finite and at least 0"),
        ({"activation_bytes": float("nan")}, "activation_bytes=nan must be finite"),
        ({"message_bytes": -1}, "message_bytes=-1 must be at least 0"),
        ({"cluster": Cluster(failures={1: 2.0})}, "rank 1 fails, must have no failures"),
    ],
)
def test_costs_that_are_none(costs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Exception, match=sentence):
        price(one_f_one_b(2, 2), **costs)


# ---- search

LAYERS = LayerCosts((1.0, 1.0, 1.0, 3.0), (1.0, 1.0, 1.0, 2.0), (1.0, 1.0, 1.0, 2.0), (8.0,) * 4, (50.0,) * 4, 4)


def every_price(cluster: Cluster, ranks: int, batch: int, memory: float) -> list[float]:
    """Price all there is, by a loop of its own."""
    found = []
    for name in SYNCHRONOUS:
        for count in range(1, batch + 1):
            if batch % count or not fits(name, ranks, count):
                continue
            schedule = make_schedule(name, ranks, count)
            for bounds in {2: ([0, 2, 4], [0, 3, 4]), 4: ([0, 1, 2, 3, 4],)}.get(schedule.stages, ()):
                priced = price(schedule, cluster=cluster, **stages_of(LAYERS, bounds, batch / count)._asdict())
                if max(priced.peak_memory) <= memory:
                    found.append(priced.makespan)
    return sorted(found)


@pytest.mark.parametrize("memory", [1e9, 200.0])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_the_search_finds_the_best_of_all(memory: float, beta: float) -> None:
    cluster = Cluster(alpha=0.1, beta=beta, speeds=(1.0, 0.8))
    found = search(LAYERS, cluster, ranks=2, batch=8, memory=memory, best=3)
    assert found[0].priced.makespan == every_price(cluster, 2, 8, memory)[0]
    assert [one.priced.makespan for one in found] == sorted(one.priced.makespan for one in found)
    for one in found:
        check(one.choice.schedule)
        assert one.choice.peak_memory == max(one.priced.peak_memory) <= memory


def test_a_balanced_partition_beats_an_equal_one() -> None:
    """The head of a GPT-2 is worth several blocks."""
    cluster = load_cluster("dgx-v100x1", 4)
    layers = gpt_layers(GPT2["gpt2"], cluster.device(0))
    assert search(layers, cluster, 4, 8, schedules=["1f1b"], best=1)[0].choice.cut == "balanced"


def test_searches_that_find_nothing() -> None:
    free = Cluster(alpha=0.0, beta=0.0)
    with pytest.raises(ValueError, match="memory=100 bytes must be at least 116, what naive with 8 micro-batches"):
        search(LAYERS, free, ranks=2, batch=8, memory=100)
    with pytest.raises(ValueError, match="ranks=5: no schedule of gpipe exists for a batch of 8 and 4 layers"):
        search(LAYERS, free, ranks=5, batch=8, schedules=["gpipe"])
    with pytest.raises(ValueError, match="batch=0 must be at least 1"):
        search(LAYERS, free, ranks=2, batch=0)
    with pytest.raises(ValueError, match=r"efficiency=1.5 must be above 0 and at most 1"):
        gpt_layers(GPT2["gpt2"], load_cluster("dgx-v100x1").device(0), efficiency=1.5)


def test_flops_of_a_gpt() -> None:
    """F, B and W of GPT-2 XL add up to 6 FLOPs a token and parameter, and what attention takes besides.

    Row `exact` of docs/conventions.md: whole FLOPs, to rounding.
    """
    config, device = GPT2["gpt2-xl"], load_cluster("dgx-v100x1").device(0)
    layers = gpt_layers(config, device, efficiency=1.0)
    flops = sum(layers.seconds) * device.flops["float16"] / config.block_size
    matrices = 12 * config.n_layer * config.n_embd**2 + config.vocab_size * config.n_embd
    attention = 12 * config.n_layer * config.block_size * config.n_embd
    assert flops == pytest.approx(6 * matrices + attention, rel=VIRTUAL_TIME)


# ---- pictures


def test_the_timeline_has_a_box_for_each_action_and_a_number_in_it() -> None:
    spans = price(make_schedule("zb-v", 2, 3), 0.5, 0.5, 0.5).spans
    figure = pipeline_timeline({"one": spans, "two": price(one_f_one_b(2, 3)).spans})
    grid, kept, second, _ = figure.axes
    assert sum(len(collection.get_paths()) for collection in grid.collections) == 2 * 2 * 3 * 3
    assert [text.get_text() for text in second.texts].count("2") == 4
    peaks = [max(line.get_ydata()) for line in kept.lines]
    assert peaks == list(peak_in_flight(make_schedule("zb-v", 2, 3)))
    assert grid.get_title(loc="left") == "one"


def test_pictures_of_nothing() -> None:
    with pytest.raises(ValueError, match="runs is empty"):
        pipeline_timeline({})
    with pytest.raises(ValueError, match=r"runs\['x'\] has no actions"):
        pipeline_timeline({"x": [Span(0, 0, "Send", 0.0, 1.0, "send")]})
    with pytest.raises(ValueError, match="must be of the schedules of bubbles"):
        pipeline_bars({"a": 0.5}, {"b": [1]})


def test_lines_of_memory_have_no_dips_by_rounding_and_each_its_colour() -> None:
    """0.1 + 0.2 is not 0.3: an action may begin a rounding error after the one before has ended."""
    figure = pipeline_timeline({"many": price(one_f_one_b(16, 32), 0.0012, 0.001, 0.001).spans})
    lines = figure.axes[1].lines
    assert len({line.get_color() for line in lines}) == len(lines) == 6
    for line in lines:
        levels = list(line.get_ydata())
        top = levels.index(max(levels))
        assert levels[:top] == sorted(levels[:top])
        assert levels[top:] == sorted(levels[top:], reverse=True)


def test_actions_have_the_same_colours_in_all_pictures() -> None:
    """Also where others come first: the timeline with messages gives colours in the order of time."""
    spans = [Span(0, 0, name, at, at + 1, "compute") for at, name in enumerate(("load", "W0", "BW1", "B0", "F3"))]
    assert ACTION_COLOURS.items() <= category_colours(spans).items()
    assert len(set(category_colours(spans).values())) == 5
