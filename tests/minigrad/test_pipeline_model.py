"""The input pipeline: t_iter = max or sum, utilisation = R_pipeline / R_compute; the model beside sleeps."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data.pipeline_model import InputPipeline, measured

TIMES = st.integers(0, 1000).map(lambda n: n / 1024)  # sums of these are exact
COMPUTE = st.integers(1, 1000).map(lambda n: n / 1024)


@given(TIMES, TIMES, TIMES, COMPUTE)
def test_the_closed_forms(fetch, process, transfer, compute):
    pipeline = InputPipeline(fetch, process, transfer, compute)
    assert pipeline.seconds_per_batch(overlapped=True) == max(fetch, process, transfer)
    assert pipeline.seconds_per_batch(overlapped=False) == fetch + process + transfer
    t_iter = max(fetch, process, transfer)
    if t_iter >= compute:  # the pipeline is the slower: R_pipeline / R_compute
        assert pipeline.utilisation(overlapped=True) == pytest.approx((1 / t_iter) / (1 / compute), rel=1e-12)
    else:
        assert pipeline.utilisation(overlapped=True) == 1.0
    assert pipeline.utilisation(overlapped=False) <= pipeline.utilisation(overlapped=True)


@given(TIMES, TIMES, TIMES, COMPUTE, st.integers(2, 8), st.booleans())
def test_the_spans_keep_the_pace_and_the_order(fetch, process, transfer, compute, batches, overlapped):
    """Row `virtual-time`; the closed form is the spans' pace from the first batch on."""
    pipeline = InputPipeline(fetch, process, transfer, compute)
    spans = pipeline.spans(batches, overlapped)
    assert len(spans) == 4 * batches
    pace = measured(spans)["step_seconds"]
    assert pace == pytest.approx(pipeline.step_seconds(overlapped), rel=1e-12)
    by_name = {span.name: span for span in spans}
    for batch in range(batches):
        mine = [by_name[f"{name} {batch}"] for name in ("fetch", "process", "transfer", "compute")]
        assert all(one.end <= other.start for one, other in pairwise(mine))
    for stage in range(4):
        own = sorted((s for s in spans if s.stream == stage), key=lambda s: s.end)
        assert all(one.end <= other.start for one, other in pairwise(own))


@pytest.mark.parametrize("overlapped", [False, True])
def test_sleeps_take_what_the_model_says(overlapped):
    """A sleep is never shorter; on a busy machine it is longer, so the best of three counts."""
    pipeline = InputPipeline(fetch=0.004, process=0.016, transfer=0.002, compute=0.008)
    runs = [pipeline.measure(12, overlapped) for _ in range(3)]
    assert [len(spans) for spans in runs] == [48] * 3
    found = min((measured(spans) for spans in runs), key=lambda numbers: numbers["step_seconds"])
    expected = pipeline.step_seconds(overlapped)
    assert 0.98 * expected <= found["step_seconds"] <= 1.4 * expected
    assert found["utilisation"] == pytest.approx(pipeline.utilisation(overlapped), abs=0.2)


def test_the_bottleneck_is_named():
    assert InputPipeline(3, 1, 1, 2).bottleneck()[0] == "fetch"
    assert InputPipeline(1, 1, 3, 2).bottleneck()[0] == "transfer"
    assert InputPipeline(1, 1, 1, 2).bottleneck()[0] == "compute"


@pytest.mark.parametrize("wrong", [{"fetch": -1.0}, {"process": float("nan")}, {"compute": 0.0}])
def test_times_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        InputPipeline(**({"fetch": 1.0, "process": 1.0, "transfer": 1.0, "compute": 1.0} | wrong))
    with pytest.raises(ValueError, match="a pace needs at least 2"):
        measured(InputPipeline(1, 1, 1, 1).spans(1, True))
