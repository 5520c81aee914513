"""Pipeline parallelism: schedules as data, a checker, and one runner for training and for pricing."""

from parallel.pipeline.checker import ScheduleError, check
from parallel.pipeline.costed_stage import CostedStage
from parallel.pipeline.cut import BY, cut_model
from parallel.pipeline.deadlock import circle_of_waits
from parallel.pipeline.grid import draw_schedule, draw_spans
from parallel.pipeline.layer_costs import LayerCosts, StageCosts, gpt_layers, stages_of
from parallel.pipeline.memory import in_flight, peak_bytes, peak_in_flight
from parallel.pipeline.module_stage import ModuleStage
from parallel.pipeline.partition import partition
from parallel.pipeline.pricing import Priced, price
from parallel.pipeline.pytorch_csv import from_pytorch_csv, to_pytorch_csv
from parallel.pipeline.runner import run
from parallel.pipeline.schedule import WEIGHTS, Action, Overlapped, Placement, Schedule, Step
from parallel.pipeline.schedules import (
    CHUNKED,
    SCHEDULES,
    dualpipe,
    dualpipev,
    fits,
    gpipe,
    interleaved_one_f_one_b,
    looped_breadth_first,
    make_schedule,
    naive,
    one_f_one_b,
    pipedream,
    pipedream_2bw,
    zb_h1,
    zb_h2,
    zb_v,
)
from parallel.pipeline.search import SYNCHRONOUS, Choice, Found, search
from parallel.pipeline.stage import Sizes, Stage
from parallel.pipeline.text import parse, to_text
from parallel.pipeline.timing import Times, times
from parallel.pipeline.versions import Versions, kept_versions, weight_versions

__all__ = [
    "BY",
    "CHUNKED",
    "SCHEDULES",
    "SYNCHRONOUS",
    "WEIGHTS",
    "Action",
    "Choice",
    "CostedStage",
    "Found",
    "LayerCosts",
    "ModuleStage",
    "Overlapped",
    "Placement",
    "Priced",
    "Schedule",
    "ScheduleError",
    "Sizes",
    "Stage",
    "StageCosts",
    "Step",
    "Times",
    "Versions",
    "check",
    "circle_of_waits",
    "cut_model",
    "draw_schedule",
    "draw_spans",
    "dualpipe",
    "dualpipev",
    "fits",
    "from_pytorch_csv",
    "gpipe",
    "gpt_layers",
    "in_flight",
    "interleaved_one_f_one_b",
    "kept_versions",
    "looped_breadth_first",
    "make_schedule",
    "naive",
    "one_f_one_b",
    "parse",
    "partition",
    "peak_bytes",
    "peak_in_flight",
    "pipedream",
    "pipedream_2bw",
    "price",
    "run",
    "search",
    "stages_of",
    "times",
    "to_pytorch_csv",
    "to_text",
    "weight_versions",
    "zb_h1",
    "zb_h2",
    "zb_v",
]
