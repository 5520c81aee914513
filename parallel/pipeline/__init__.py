"""Pipeline parallelism: schedules as data, a checker, and one runner for training and for pricing."""

from parallel.pipeline.checker import ScheduleError, check, peak_in_flight
from parallel.pipeline.costed_stage import CostedStage, price
from parallel.pipeline.grid import draw_schedule, draw_spans
from parallel.pipeline.module_stage import ModuleStage, cut_sequential
from parallel.pipeline.runner import run
from parallel.pipeline.schedule import SCHEDULES, Action, Schedule, gpipe, one_f_one_b, parse, to_text
from parallel.pipeline.stage import Sizes, Stage

__all__ = [
    "SCHEDULES",
    "Action",
    "CostedStage",
    "ModuleStage",
    "Schedule",
    "ScheduleError",
    "Sizes",
    "Stage",
    "check",
    "cut_sequential",
    "draw_schedule",
    "draw_spans",
    "gpipe",
    "one_f_one_b",
    "parse",
    "peak_in_flight",
    "price",
    "run",
    "to_text",
]
